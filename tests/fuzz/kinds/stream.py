"""Addresses of streams; their secrets are never shown."""

from __future__ import annotations

from pathlib import Path
from random import Random

from kinds import TARGET, copied

# The worker refuses output that holds it.
SECRET = "S3CRETWORD"
KEYS = ["token", "pw", "access", "jwt", "password", "sid", "k", "x-api-key", "auth", "1"]
HOSTS = ["127.0.0.1:1", "[::1]:1", "nobody.invalid", "127.0.0.1:99999", "", "[::1", "127.0.0.1:1:1"]
# Not opened: nothing here may wait for a camera that does not answer.
SCHEMES = ["rtsp", "http", "https", "rtmp", "xyz", "ftp", "RTSP"]


def make(r: Random, base: Path, work: Path) -> list[str]:
    copied(base, work, "digits.onnx")
    users = [f"{SECRET}@", f"me:{SECRET}@", f"{SECRET}:@", f"me:{SECRET}/x@", f"me:1{SECRET}@", ""]
    user = r.choice(users)
    query = f"?{r.choice(KEYS)}={SECRET}" if not user or r.random() < 0.5 else ""
    sep = r.choice(["", "&a=1", "#x", ";b=2"])
    address = f"{r.choice(SCHEMES)}://{user}{r.choice(HOSTS)}/live{query}{sep}"
    wanted = r.choice([[], ["--size", "64x64"], ["--rate", "5"], ["--pixel-format", "MJPG"]])
    call = ["demo", "digits.onnx", "--source", address, *TARGET, "--display", "none", "--time", "1"]
    return [*call, "--compute", "fp32", *wanted]
