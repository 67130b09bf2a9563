MESSAGE: int
GARBLED: int
PARTIAL: int
BODY_BYTES_MAX: int

def find(data: bytes | bytearray, at: int) -> tuple[int, int, int]: ...
