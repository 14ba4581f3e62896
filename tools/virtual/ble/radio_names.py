"""Names of the radio's sockets in its folder: known without loading Bluetooth."""

RECORDER_SOCKET, ORDER_SOCKET = "recorder.sock", "order.sock"
