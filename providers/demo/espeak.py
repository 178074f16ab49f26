"""One utterance by espeak-ng: text on stdin, 16-bit mono samples on stdout. Run as a script, in a process of its own.

The library is not thread-safe, and only the first synthesis of a process can be repeated. It is GPL: only this program
loads it. Arguments: library, data folder, voice, words per minute, pitch, the parent's process id.
"""

import ctypes
import os
import sys
from typing import Any

SYNCHRONOUS = 2
UTF8 = 1
RATE, PITCH = 1, 3
PR_SET_PDEATHSIG = 1
SIGKILL = 9
SAMPLE_RATE = 22_050

ON_SOUND = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def die_with(parent: int) -> None:
    """Linux ends this process when its parent ends, for whatever reason."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def speak(espeak: ctypes.CDLL, data: str, manner: list[str], text: bytes) -> bytes:
    voice, rate, pitch = manner
    if espeak.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), 0) != SAMPLE_RATE:
        sys.exit(2)
    audio = bytearray()

    def on_sound(samples: Any, count: int, _events: int) -> int:
        if samples and count > 0:
            audio.extend(ctypes.string_at(samples, count * 2))
        return 0

    # Some voices contain noise, which the library has just seeded with the time of day.
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))
    callback = ON_SOUND(on_sound)  # kept in a variable: the library holds no reference to it
    espeak.espeak_SetSynthCallback(callback)
    if espeak.espeak_SetVoiceByName(voice.encode()) != 0:
        sys.exit(3)
    espeak.espeak_SetParameter(RATE, int(rate), 0)
    espeak.espeak_SetParameter(PITCH, int(pitch), 0)
    espeak.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 0, 0, UTF8, None, None)
    espeak.espeak_Synchronize()
    return bytes(audio)


def main(library: str, data: str, *manner_and_parent: str) -> None:
    *manner, parent = manner_and_parent
    die_with(int(parent))
    text = sys.stdin.buffer.read().replace(b"\0", b" ")
    sys.stdout.buffer.write(speak(ctypes.CDLL(library), data, manner, text))


if __name__ == "__main__":
    main(*sys.argv[1:])
