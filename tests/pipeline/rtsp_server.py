"""An RTSP server for the tests, run by the system's Python: PORT WIDTH HEIGHT [RATE].

Every picture holds the time at which it was made: milliseconds of CLOCK_MONOTONIC, 24 bits, in
6 x 4 blocks of black and white, the lowest bit top left, row by row. It says "ready PORT" and
serves /cam.
"""

import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

COLUMNS, ROWS = 6, 4


def picture(width, height):
    """I420 bytes of the time now."""
    stamp = time.monotonic_ns() // 1_000_000
    luma = bytearray()
    for row in range(ROWS):
        bits = [stamp >> (row * COLUMNS + column) & 1 for column in range(COLUMNS)]
        line = b"".join(bytes([235 if bit else 16]) * (width // COLUMNS) for bit in bits)
        line = line.ljust(width, b"\x10")
        luma += line * (height // ROWS)
    luma = luma.ljust(width * height, b"\x10")
    return bytes(luma) + b"\x80" * (width * height // 2)


def main(port, width, height, rate):
    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(
        "( appsrc name=src is-live=true do-timestamp=true format=time "
        f"caps=video/x-raw,format=I420,width={width},height={height},framerate={rate}/1 "
        "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=2000 "
        "! rtph264pay name=pay0 pt=96 config-interval=1 )"
    )
    factory.set_shared(True)

    def configured(_, media):
        source = media.get_element().get_by_name("src")

        def push():
            flow = source.emit("push-buffer", Gst.Buffer.new_wrapped(picture(width, height)))
            return flow == Gst.FlowReturn.OK

        GLib.timeout_add(1000 // rate, push)

    factory.connect("media-configure", configured)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.get_mount_points().add_factory("/cam", factory)
    if not server.attach(None):
        sys.exit(f"port {port} cannot be had")
    print("ready", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) if sys.argv[4:] else 20)
