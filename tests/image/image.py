"""What the image is and what is in it."""

import os
import re
import stat

import world
from world import test

# Of what docker and podman show as the size: all layers, not compressed.
LIMIT = 30_000_000
USER = 65532


@test
def the_image_is_built_by_its_own_dockerfile_and_is_under_30_mb():
    world.image()
    size = world.inspect()["Size"]
    print(f"size: {size / 1e6:.1f} MB, not compressed")
    assert size < LIMIT, size


@test
def it_starts_claimgate_as_65532_and_says_what_it_is():
    world.image()
    configuration = world.inspect()["Config"]
    assert configuration["User"] == f"{USER}:{USER}", "a number, or the kubelet cannot tell that it is not root"
    assert configuration["Entrypoint"] == ["/claimgate"]
    assert configuration["Cmd"] == ["serve", "--config=/etc/claimgate/claimgate.yaml"]
    assert set(configuration["ExposedPorts"]) == {"9191/tcp", "9193/tcp"}
    assert all(variable.startswith("PATH=") for variable in configuration.get("Env") or []), "nothing of the builder's"
    assert "Healthcheck" not in configuration and "Volumes" not in configuration
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in configuration["Labels"].items()}
    version = re.search(r'^version = "(.*)"', (world.ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    assert labels["version"] == version, "ARG VERSION in the Dockerfile"
    assert {"title", "description", "licenses", "revision"} <= labels.keys()


@test
def nothing_in_it_can_be_run_but_claimgate():
    with world.contents() as root:
        runnable = []
        for path in everything(root):
            if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o111:
                runnable.append(str(path.relative_to(root)))
        libraries = [path for path in runnable if re.search(r"/(ld-linux|libc|libm|libgcc_s)[^/]*\.so\.\d+$", f"/{path}")]
        assert set(runnable) - set(libraries) == {"claimgate"}, runnable
        for shell in ("sh", "bash", "dash", "busybox", "ash", "apt", "apk", "perl", "python3"):
            assert not list(root.rglob(shell)), shell


@test
def nothing_in_it_belongs_to_its_user_but_the_places_of_its_state_and_its_socket():
    with world.contents() as root:
        owned = {}
        for path in everything(root):
            found = path.lstat()
            if path.is_symlink():
                continue
            assert not found.st_mode & (stat.S_ISUID | stat.S_ISGID), path
            assert not found.st_mode & stat.S_IWOTH, f"{path} can be written by everybody"
            if found.st_uid or found.st_gid:
                owned[str(path.relative_to(root))] = (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
            else:
                readable = 0o555 if path.is_dir() else 0o444
                assert found.st_mode & readable == readable, f"{path} cannot be read by its user"
    assert owned == {"var/lib/claimgate": (USER, USER, 0o700), "run/claimgate": (USER, USER, 0o755)}


@test
def authorities_and_the_order_of_resolvers_are_there():
    with world.contents() as root:
        bundle = (root / "etc/ssl/certs/ca-certificates.crt").read_text()
        assert bundle.count("BEGIN CERTIFICATE") > 100, "as many as Debian trusts"
        assert (root / "etc/nsswitch.conf").read_text() == "hosts: files dns\n"


@test
def a_scanner_finds_the_version_and_the_licence_of_everything_that_is_copied():
    with world.contents() as root:
        listed = {file.name: file.read_text() for file in (root / "var/lib/dpkg/status.d").iterdir()}
        assert listed.keys() == {"ca-certificates", "libc6", "libgcc-s1"}
        for package, text in listed.items():
            assert re.search(f"^Package: {package}\n", text, re.MULTILINE) and re.search("^Version: [0-9]", text, re.MULTILINE)
            assert (root / f"usr/share/doc/{package}/copyright").stat().st_size > 100
        assert (root / "usr/share/doc/claimgate/copyright").read_text() == (world.ROOT / "LICENSE").read_text()
        assert re.search("^ID=", (root / "etc/os-release").read_text(), re.MULTILINE)


@test
def a_build_sees_what_it_needs_and_nothing_else():
    ignored = (world.ROOT / ".dockerignore").read_text().split("*\n", 1)[1]
    seen = sorted(line.removeprefix("!") for line in ignored.splitlines())
    copied = []
    for line in re.findall("^COPY (?!--from)(.*)$", world.DOCKERFILE.read_text(), re.MULTILINE):
        copied += line.split()[:-1]
    assert seen == sorted(copied)


def everything(root):
    """All that is in the image, directories too. Links are not followed: they would lead out of it."""
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            yield root.__class__(folder, name)
