"""The length of compressed sound by its frames, each of which says how many samples it has. Nothing is decoded.

For where no decoder is installed: MP3, AAC (ADTS), FLAC, and Opus in Ogg. What is no frame may be `MAX_OTHER` bytes, so
that no sound can be hidden behind a few frames.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from types import MappingProxyType

MAX_OTHER = 64 * 1024
"""Bytes of a file that are in no frame and no tag."""
_BITRATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of MPEG sound, in kbit/s, by its version (2 is 2.5, too) and layer."""
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_FLAC_RATES = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
_FLAC_HEAD = re.compile(rb"\xff[\xf8\xf9]")
_OPUS_RATE = 48_000
_OPUS_HEADERS = 2

Frame = tuple[int, Fraction]
"""The bytes of a frame, and its length."""


def seconds(content: bytes, content_type: str) -> Fraction | None:
    """Return the length. None for what has no such frames, and for what has more than them."""
    measure = _OF_TYPE.get(content_type)
    return measure(content) if measure else None


def _walked(content: bytes, begin: int, frame: Callable[[bytes, int], Frame | None]) -> Fraction | None:
    """Add up frames that follow one another. Between two there may be a few other bytes."""
    at, other, total = begin, 0, Fraction(0)
    lengths: dict[Fraction, int] = {}
    while at < len(content):
        parsed = frame(content, at)
        if parsed is None:
            place = content.find(b"\xff", at + 1)
            skipped = (place if place > 0 else len(content)) - at
            at, other = at + skipped, other + skipped
            if other > MAX_OTHER:
                return None
            continue
        size, length = parsed
        lengths[length] = lengths.get(length, 0) + 1
        at += size
    total = sum((length * number for length, number in lengths.items()), total)
    return total or None


def _after_tag(content: bytes) -> int:
    """Return where sound begins, behind an ID3 tag."""
    if not content.startswith(b"ID3") or len(content) < 10:
        return 0
    size = 0
    for byte in content[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _mpeg_frame(content: bytes, at: int) -> Frame | None:
    head = int.from_bytes(content[at : at + 4], "big")
    version, layer = head >> 19 & 3, 4 - (head >> 17 & 3)
    bitrate, sampling, padding = head >> 12 & 15, head >> 10 & 3, head >> 9 & 1
    if head >> 21 != 0x7FF or version == 1 or layer == 4 or bitrate in (0, 15) or sampling == 3:
        return None
    family = 1 if version == 3 else 2
    bits = _BITRATES[family, layer if family == 1 else min(layer, 2)][bitrate - 1] * 1000
    rate = _RATES[version][sampling]
    samples = 384 if layer == 1 else 576 if (layer, family) == (3, 2) else 1152
    size = (12 * bits // rate + padding) * 4 if layer == 1 else samples // 8 * bits // rate + padding
    return size, Fraction(samples, rate)


def _adts_frame(content: bytes, at: int) -> Frame | None:
    head = int.from_bytes(content[at : at + 7], "big")
    rate, size, blocks = head >> 34 & 0x3FFF >> 10, head >> 13 & 0x1FFF, (head & 3) + 1
    if head >> 44 != 0xFFF or head >> 41 & 3 or rate >= len(_AAC_RATES) or size < 7:
        return None
    return size, Fraction(1024 * blocks, _AAC_RATES[rate])


def _flac(content: bytes) -> Fraction | None:
    """A frame does not say where it ends: each head with a right checksum begins one."""
    at = 4
    while content[at : at + 1]:  # blocks of metadata
        last, at = content[at] & 0x80, at + 4 + int.from_bytes(content[at + 1 : at + 4], "big")
        if last:
            break
    begin, rate = at, int.from_bytes(content[18:21], "big") >> 4
    heads = [_flac_head(content, match.start(), rate) for match in _FLAC_HEAD.finditer(content, begin)]
    return sum((length for length in heads if length), Fraction(0)) or None


def _flac_head(content: bytes, at: int, rate: int) -> Fraction | None:
    head = content[at : at + 16]
    if len(head) < 6 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] & 1:
        return None
    block, sampling = head[2] >> 4, head[2] & 15
    end = 4 + max(1, 8 - (head[4] ^ 0xFF).bit_length())  # the number of the frame, as UTF-8 has it
    numbers = head[end:]
    samples, end = _flac_samples(block, numbers, end)
    more = (0, 1, 2, 2)[sampling - 11] if sampling >= 11 else 0
    given = int.from_bytes(head[end : end + more], "big") * {1: 1000, 2: 1 if sampling == 13 else 10}.get(more, 0)
    rate, end = given or (_FLAC_RATES[sampling] if sampling < 12 else 0) or rate, end + more
    if not rate or end >= len(head) or _crc8(head[:end]) != head[end]:
        return None
    return Fraction(samples, rate)


def _flac_samples(block: int, numbers: bytes, end: int) -> tuple[int, int]:
    if block in (6, 7):
        return int.from_bytes(numbers[: block - 5], "big") + 1, end + block - 5
    return 192 if block == 1 else 576 << block - 2 if block < 6 else 256 << block - 8, end


def _crc8(head: bytes) -> int:
    value = 0
    for byte in head:
        value ^= byte
        for _ in range(8):
            value = value << 1 ^ (0x107 if value & 0x80 else 0)
    return value


def _ogg_opus(content: bytes) -> Fraction | None:
    """Add up the packets of all streams. None if one is not Opus."""
    packets: dict[int, int] = {}
    samples = 0
    for serial, packet in _ogg_packets(content):
        number = 0 if packet.startswith(b"OpusHead") else packets.get(serial, 0)
        if number == 0 and not packet.startswith(b"OpusHead"):
            return None
        packets[serial] = number + 1
        if number >= _OPUS_HEADERS:
            samples += _opus_samples(packet)
    return Fraction(samples, _OPUS_RATE) or None


def _ogg_packets(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the packets of the pages that follow one another. What else there is ends them, as one without a type."""
    at, open_packets = 0, {}  # type: int, dict[int, bytes]
    while at < len(content):
        count = content[at + 26] if content.startswith(b"OggS\0", at) and len(content) > at + 26 else None
        if count is None:
            yield -1, b""
            return
        serial = int.from_bytes(content[at + 14 : at + 18], "little")
        sizes = content[at + 27 : at + 27 + count]
        at += 27 + count
        packet = open_packets.pop(serial, b"") if len(open_packets) < MAX_STREAMS else b""
        for size in sizes:
            packet += content[at : at + size]
            at += size
            if size < 255:
                yield serial, packet
                packet = b""
        if sizes and sizes[-1] == 255:
            open_packets[serial] = packet


MAX_STREAMS = 64


def _opus_samples(packet: bytes) -> int:
    """Return the samples of a packet by its first bytes (RFC 6716, 3.1)."""
    if not packet:
        return 0
    mode = packet[0] >> 3
    if mode < 12:
        frame = (480, 960, 1920, 2880)[mode & 3]
    elif mode < 16:
        frame = (480, 960)[mode & 1]
    else:
        frame = (120, 240, 480, 960)[mode & 3]
    code = packet[0] & 3
    count = (packet[1] & 63 if len(packet) > 1 else 0) if code == 3 else 1 if code == 0 else 2
    return frame * count


_OF_TYPE: Mapping[str, Callable[[bytes], Fraction | None]] = MappingProxyType(
    {
        "audio/mpeg": lambda content: _walked(content, _after_tag(content), _mpeg_frame),
        "audio/aac": lambda content: _walked(content, _after_tag(content), _adts_frame),
        "audio/flac": _flac,
        "audio/ogg": _ogg_opus,
    }
)
