"""What the tests use: the registry of tests, podman with a storage of its own that is gone afterwards, and the image, which is
built once. Decides nothing itself."""

import contextlib
import fcntl
import functools
import json
import os
import pathlib
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
IMAGE = "localhost/claimgate:test"
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"

sys.path.append(str(ROOT / "tests/leaks"))
import kept  # noqa: E402,F401  for the search of tests/leaks

# Nothing that is waited for takes this long unless it never comes.
PATIENCE = 60
# A release build on one slow core.
BUILD_PATIENCE = 3000

TESTS = []
FOLDER = None


def test(function):
    """Registers a test."""
    TESTS.append(function)
    return function


def loopback_up():
    """`ip link set lo up`: in a network namespace that was just made, it is down. ip(8) may be missing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        # SIOCSIFFLAGS, with struct ifreq: a name and IFF_UP.
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))


@contextlib.contextmanager
def storage():
    """A folder for images, containers and networks of these tests only: what is on this machine is neither seen nor changed."""
    global FOLDER
    FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="claimgate-image-"))
    try:
        for driver in ("overlay", "vfs"):  # vfs copies every layer, but is possible anywhere
            configure(driver)
            if subprocess.run(["buildah", "from", "scratch"], capture_output=True, timeout=PATIENCE).returncode == 0:
                break
        yield
    finally:
        for clean in (["podman", "rm", "--force", "--all", "--time", "0"], ["podman", "network", "prune", "--force"],
                      ["buildah", "rm", "--all"]):
            subprocess.run(clean, capture_output=True, timeout=PATIENCE)
        mounts = [line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{FOLDER}/")]):
            subprocess.run(["umount", "--lazy", mount], timeout=PATIENCE)
        shutil.rmtree(FOLDER, ignore_errors=True)


def configure(driver):
    """By files: podman, buildah and podman-compose read them, and podman's options differ from buildah's."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    settings = {
        # No more than we may do ourselves: a machine that is itself confined must not raise its limits.
        "containers": {"default_ulimits": [f"nofile={files}:{files}", "nproc=4096:4096"], "log_driver": "k8s-file"},
        "engine": {"runtime": "runc", "cgroup_manager": "cgroupfs", "events_logger": "none", "image_default_format": "docker"},
        "network": {"network_backend": "netavark", "network_config_dir": f"{FOLDER}/networks"},
    }
    lines = []
    for table, values in settings.items():
        lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    (FOLDER / "containers.conf").write_text("\n".join(lines) + "\n")
    (FOLDER / "storage.conf").write_text(
        f'[storage]\ndriver = "{driver}"\ngraphroot = "{FOLDER}/root"\nrunroot = "{FOLDER}/run"\n')
    (FOLDER / "registries.conf").write_text("")
    scratch = TARGET / "image"  # what cargo has compiled stays: RUN --mount=type=cache is below TMPDIR
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        CONTAINERS_CONF=f"{FOLDER}/containers.conf", CONTAINERS_STORAGE_CONF=f"{FOLDER}/storage.conf",
        CONTAINERS_REGISTRIES_CONF=f"{FOLDER}/registries.conf", TMPDIR=str(scratch),
        # podman runs health checks by timers of systemd, which a container or a CI machine may not have.
        DISABLE_HC_SYSTEMD="true")


def run(*command, patience=PATIENCE, **options):
    """Its standard output. A failure is told with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout.strip()


def once(function):
    """A fixture: made when it is first asked for, and not again if that failed."""
    outcome = []

    @functools.wraps(function)
    def made():
        if not outcome:
            try:
                outcome.append((function(), None))
            except Exception as error:  # noqa: BLE001  told to every test that needs it
                outcome.append((None, error))
        value, error = outcome[0]
        if error:
            raise AssertionError(f"{function.__name__}: {error}")
        return value

    return made


@once
def image():
    """The name of the image, built as anybody builds it: both stages, the release profile, this checkout."""
    begun = time.monotonic()
    command = ["buildah", "build", "--isolation", "chroot", "--network", "host", "--file", str(DOCKERFILE), "--tag", IMAGE]
    command += ["--build-arg", f"BUILDER_IMAGE={builder_image()}"]
    command += [f"--volume={source}:{place}:ro" for source, place in toolchain()]
    run(*command, str(ROOT), patience=BUILD_PATIENCE)
    print(f"built {IMAGE} in {time.monotonic() - begun:.0f} s", flush=True)
    return IMAGE


def toolchain():
    """What of this machine the builder stage sees, and where: Debian's compiler and libraries, Rust, and the crates."""
    rust = pathlib.Path(run("rustc", "--print", "sysroot"))
    cargo = pathlib.Path(os.environ.get("CARGO_HOME") or pathlib.Path.home() / ".cargo")
    debian = ["/usr/bin", "/usr/lib", "/usr/lib64", "/usr/include", "/usr/libexec", "/usr/share/doc", "/var/lib/dpkg"]
    there = [(folder, folder) for folder in debian if pathlib.Path(folder).is_dir()]
    return [*there, (rust, "/rust"), (cargo / "registry", "/cargo/registry")]


def builder_image():
    """A base with nothing in it but places for `toolchain` and the few files of /etc that it needs."""
    container = run("buildah", "from", "scratch")
    root = pathlib.Path(run("buildah", "mount", container))
    for _, place in toolchain():
        (root / place.lstrip("/")).mkdir(parents=True)
    for link in ("bin", "sbin", "lib", "lib64"):
        (root / link).symlink_to(f"usr/{link}")
    (root / "tmp").mkdir(mode=0o1777)
    etc = root / "etc"
    etc.mkdir()
    for name in ("os-release", "passwd", "group", "ld.so.cache", "ssl/certs/ca-certificates.crt"):
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f"/etc/{name}", etc / name)
    shutil.copytree("/etc/alternatives", etc / "alternatives", symlinks=True)
    environment = {"PATH": "/rust/bin:/usr/bin", "CARGO_HOME": "/cargo", "CARGO_NET_OFFLINE": "true"}
    run("buildah", "config", *(f"--env={name}={value}" for name, value in environment.items()), container)
    run("buildah", "umount", container)
    return run("buildah", "commit", "--quiet", container)


def inspect(name=IMAGE):
    """What podman knows of an image or a container."""
    (found,) = json.loads(run("podman", "inspect", name))
    return found


@contextlib.contextmanager
def contents():
    """The image's root directory."""
    image()
    container = run("buildah", "from", "--pull-never", IMAGE)
    try:
        yield pathlib.Path(run("buildah", "mount", container))
    finally:
        run("buildah", "rm", container)


def until(what, so, patience=PATIENCE):
    """Waits until `so()` is true; what it last said otherwise is told."""
    end = time.monotonic() + patience
    while not (answer := so()):
        assert time.monotonic() < end, f"{what}: not within {patience} s"
        time.sleep(0.05)
    return answer
