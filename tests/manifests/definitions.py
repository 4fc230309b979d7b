"""Our own schemas of the kinds that are no part of Kubernetes: the fields that we use, and no others. They find a
misspelled field or a wrong type; what Istio, Envoy Gateway and Prometheus make of a value, only they know."""

STRING = {"type": "string", "minLength": 1}
BOOLEAN = {"type": "boolean"}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
PROMETHEUS_DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w|y))+$"}


def mapping(required="", **properties):
    """A mapping with these members and no others."""
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required.split()}


def listing(items, least=1):
    return {"type": "array", "minItems": least, "items": items}


def enum(*words):
    return {"enum": list(words)}


def kind(spec, **top):
    metadata = mapping("name", name=STRING, namespace=STRING, labels=LABELS, annotations=LABELS)
    return mapping("apiVersion kind metadata spec", apiVersion=STRING, kind=STRING, metadata=metadata, spec=spec, **top)


CLUSTER_LOCAL = {"type": "string", "pattern": r"^[a-z0-9-]+\.[a-z0-9-]+\.svc\.cluster\.local$"}
REFERENCE = mapping("group kind name", group=enum(""), kind=enum("Service", "ConfigMap"), name=STRING)
SELECTOR = mapping("matchLabels", matchLabels=LABELS)
GATEWAY_API = "gateway.networking.k8s.io"
TARGETS = listing(mapping("group kind name", group=enum(GATEWAY_API), kind=enum("Gateway", "HTTPRoute"), name=STRING, sectionName=STRING))

RELABELINGS = listing(mapping("", action=STRING, regex=STRING, sourceLabels=listing(STRING), targetLabel=STRING, replacement=STRING))
ENDPOINT = mapping(
    "port path interval scrapeTimeout",
    port=STRING, path=enum("/metrics"), interval=PROMETHEUS_DURATION, scrapeTimeout=PROMETHEUS_DURATION,
    scheme=enum("https"), tlsConfig=mapping("", ca={"type": "object"}, serverName=STRING, insecureSkipVerify=BOOLEAN),
    relabelings=RELABELINGS, metricRelabelings=RELABELINGS,
)
NAMESPACES = mapping("matchNames", matchNames=listing(STRING))
ALERT = mapping(
    "alert expr for labels annotations",
    **{"for": PROMETHEUS_DURATION}, alert=STRING, expr=STRING,
    labels=mapping("severity", severity=enum("critical", "warning", "info")),
    annotations=mapping("summary description runbook_url", summary=STRING, description=STRING, runbook_url=STRING),
)
RECORD = mapping("record expr", record=STRING, expr=STRING, labels=LABELS)

CUSTOM = {
    ("monitoring.coreos.com", "ServiceMonitor"): kind(
        mapping("selector endpoints", namespaceSelector=NAMESPACES, selector=SELECTOR, endpoints=listing(ENDPOINT))),
    ("monitoring.coreos.com", "PodMonitor"): kind(
        mapping("selector podMetricsEndpoints", namespaceSelector=NAMESPACES, selector=SELECTOR,
                podMetricsEndpoints=listing(ENDPOINT))),
    ("monitoring.coreos.com", "PrometheusRule"): kind(
        mapping("groups", groups=listing(mapping("name rules", name=STRING, rules=listing({"anyOf": [ALERT, RECORD]}))))),
    ("security.istio.io", "AuthorizationPolicy"): kind(
        mapping("action provider rules", action=enum("CUSTOM"), provider=mapping("name", name=STRING), selector=SELECTOR,
                targetRefs=TARGETS, rules=listing({"type": "object"}))),
    ("networking.istio.io", "EnvoyFilter"): kind(
        mapping("configPatches", workloadSelector=mapping("labels", labels=LABELS), configPatches=listing(
            mapping("applyTo match patch", applyTo=enum("HTTP_FILTER"), match={"type": "object"},
                    patch=mapping("operation value", operation=enum("INSERT_FIRST"), value={"type": "object"}))))),
    ("networking.istio.io", "DestinationRule"): kind(
        mapping("host trafficPolicy", host=CLUSTER_LOCAL, trafficPolicy=mapping("tls", tls=mapping(
            "mode sni subjectAltNames", mode=enum("SIMPLE", "MUTUAL"), caCertificates=STRING, clientCertificate=STRING,
            privateKey=STRING, sni=STRING, subjectAltNames=listing(STRING))))),
    ("cert-manager.io", "Certificate"): kind(
        mapping("secretName issuerRef dnsNames", secretName=STRING, dnsNames=listing(STRING), duration=STRING, renewBefore=STRING,
                usages=listing(STRING), privateKey={"type": "object"},
                issuerRef=mapping("name", name=STRING, kind=enum("Issuer", "ClusterIssuer"), group=STRING))),
    (GATEWAY_API, "BackendTLSPolicy"): kind(
        mapping("targetRefs validation", targetRefs=listing(REFERENCE), validation=mapping(
            "hostname caCertificateRefs", hostname=STRING, caCertificateRefs=listing(REFERENCE)))),
    (GATEWAY_API, "Gateway"): kind(
        mapping("gatewayClassName listeners", gatewayClassName=STRING, listeners=listing(
            mapping("name port protocol", name=STRING, port=PORT, protocol=STRING)))),
    (GATEWAY_API, "ReferenceGrant"): kind(
        mapping("from to", **{"from": listing(mapping("group kind namespace", group=STRING, kind=STRING, namespace=STRING))},
                to=listing(mapping("group kind", group={"type": "string"}, kind=STRING, name=STRING)))),
    ("gateway.envoyproxy.io", "SecurityPolicy"): kind(
        mapping("targetRefs extAuth", targetRefs=TARGETS, extAuth=mapping(
            "failOpen statusOnError timeout grpc",
            failOpen=enum(False), statusOnError=enum(503), recomputeRoute=BOOLEAN,
            timeout={"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"},
            contextExtensions=listing(mapping("name type value", name=STRING, type=enum("Value"), value=STRING)),
            grpc=mapping("backendRefs", backendRefs=listing(mapping("name port", name=STRING, namespace=STRING, port=PORT)))))),
    ("gateway.envoyproxy.io", "ClientTrafficPolicy"): kind(
        mapping("targetRefs", targetRefs=TARGETS,
                path=mapping("", escapedSlashesAction=enum("RejectRequest"), disableMergeSlashes=BOOLEAN),
                headers=mapping("", withUnderscoresAction=enum("DropHeader", "RejectRequest"), earlyRequestHeaders=mapping(
                    "", removeOnMatch=listing(
                        mapping("type value", type=enum("Exact", "Prefix", "Suffix", "RegularExpression"), value=STRING)))))),
}

PROVIDER = mapping(
    "name envoyExtAuthzGrpc", name=STRING, envoyExtAuthzGrpc=mapping(
        "service port timeout failOpen statusOnError",
        service=CLUSTER_LOCAL, port=PORT,
        timeout={"type": "string", "pattern": "^0\\.[0-9]+s$"}, failOpen=enum(False), statusOnError=enum("503")))
MESH = mapping(
    "meshConfig", meshConfig=mapping(
        "extensionProviders", extensionProviders=listing(PROVIDER), pathNormalization=mapping(
            "normalization", normalization=enum("NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"))))
