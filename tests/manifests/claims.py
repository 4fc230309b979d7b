"""What is claimed of every pod that runs claimgate, whoever wrote the manifest: the chart, the sidecar or deploy/."""

import world

SERVE_OPTIONS = world.options_of("serve")


def pod_is_secure(spec, containers=None):
    """Nothing runs as root, may become root, writes to its image or holds a token of the Kubernetes API."""
    assert spec["automountServiceAccountToken"] is False
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        assert not spec.get(field)
    for container in containers or spec["containers"]:
        # A container's own setting comes before that of its pod.
        effective = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
        container_is_secure(effective)
    pod_volumes_are_safe(spec)


def container_is_secure(effective):
    assert effective["runAsNonRoot"] is True
    assert effective["runAsUser"] == effective["runAsGroup"] == 65532
    assert effective["readOnlyRootFilesystem"] is True
    assert effective["allowPrivilegeEscalation"] is False
    assert effective["capabilities"] == {"drop": ["ALL"]}
    assert effective["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not effective.get("privileged")


def pod_volumes_are_safe(spec):
    assert not any("hostPath" in volume for volume in spec["volumes"])
    # claimgate does not use kept keys that a group can write, and Always would make them so at each start.
    if "fsGroup" in spec["securityContext"]:
        assert spec["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def claimgate_runs(spec, container, ports=("grpc", "admin"), scheme=None):
    """The container starts claimgate with options that it has, is probed where claimgate answers, and is given the time that its
    drain takes before it is killed."""
    arguments = container["args"]
    assert arguments[0] == "serve"
    options = {argument.partition("=")[0] for argument in arguments[1:]}
    assert options <= SERVE_OPTIONS, options - SERVE_OPTIONS
    assert [port["name"] for port in container["ports"]] == list(ports)
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "admin", **({"scheme": scheme} if scheme else {})}, probe
    assert "limits" in container["resources"] and "cpu" not in container["resources"]["limits"]
    drain = sum(int(value_of(arguments, f"--drain-{part}")) for part in ("delay", "deadline"))
    # A second more, for what is still blocked then and for the process to go.
    assert spec["terminationGracePeriodSeconds"] >= drain + 1, "the kubelet would cut the drain short"


def value_of(arguments, option):
    values = [argument.partition("=")[2] for argument in arguments if argument.partition("=")[0] == option]
    assert len(values) == 1, f"{option}: {values}"
    return values[0]


def configuration_is_mounted(spec, container):
    """As a directory, since a single file in it would never be updated. Returns the volume and the file's name."""
    directory, _, file = value_of(container["args"], "--config").rpartition("/")
    mount = next(mount for mount in container["volumeMounts"] if mount["mountPath"] == directory)
    assert mount["readOnly"] is True and "subPath" not in mount
    return volume(spec, mount["name"]), file


def certificate_is_mounted(spec, container, settings):
    """The files of a `listen.tls` are in one Secret, mounted as a directory so that a renewed one arrives, and readable for the
    group of the process only: claimgate does not use a key that everybody can read."""
    directories = {value.rpartition("/")[0] for name, value in settings.items() if name.endswith("_file")}
    (mount,) = [mount for mount in container["volumeMounts"] if {mount["mountPath"]} == directories]
    assert mount["readOnly"] is True and "subPath" not in mount
    secret = volume(spec, mount["name"])["secret"]
    assert secret["defaultMode"] == 0o440 and spec["securityContext"]["fsGroup"] == 65532
    assert (settings["cert_file"].rpartition("/")[2], settings["key_file"].rpartition("/")[2]) == ("tls.crt", "tls.key")
    return secret["secretName"]


def socket_is_shared(spec, container, path):
    """In a volume of its own in which claimgate can write, as can the group of the pod that Envoy is put into."""
    (mount,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == path.rpartition("/")[0]]
    assert not mount.get("readOnly")
    assert "emptyDir" in volume(spec, mount["name"]), "gone with the pod"
    assert spec["securityContext"]["fsGroup"] == 65532
    return mount


def state_directory_is_writable(spec, container, state_dir):
    """Below a volume that is neither read-only nor the configuration's, and that the group of the process owns."""
    mount = next(mount for mount in container["volumeMounts"] if state_dir.startswith(mount["mountPath"] + "/"))
    assert not mount.get("readOnly")
    mounted = volume(spec, mount["name"])
    assert "emptyDir" in mounted or "persistentVolumeClaim" in mounted, mounted
    assert spec["securityContext"]["fsGroup"] == 65532


def volume(spec, name):
    return next(volume for volume in spec["volumes"] if volume["name"] == name)


def listens_where_asked(configuration, container, host="0.0.0.0", socket=None):
    """claimgate listens on the container's ports: for the kubelet on every address, for Envoy on `host` or at `socket`."""
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert configuration["listen"]["grpc"] == (f"unix://{socket}" if socket else f"{host}:{ports['grpc']}")
    assert configuration["listen"]["admin"] == f"0.0.0.0:{ports['admin']}"


def service_speaks_grpc(service, labels):
    """One port, named grpc, with the protocol said, to the pods with these labels."""
    (port,) = service["spec"]["ports"]
    assert (port["name"], port["appProtocol"], port["targetPort"]) == ("grpc", "grpc", "grpc")
    assert service["spec"]["selector"].items() <= labels.items()
