"""Sound and pictures with nothing but the standard library: Morse code as WAV, grey pictures as PNG."""

import math
import struct
import wave
import zlib

RATE = 4000  # samples per second
DOT = RATE // 25  # samples: 40 milliseconds
CODES = {
    "A": ".-", "B": "-...", "C": "-.-.", "D": "-..", "E": ".", "F": "..-.", "G": "--.", "H": "....", "I": "..",
    "J": ".---", "K": "-.-", "L": ".-..", "M": "--", "N": "-.", "O": "---", "P": ".--.", "Q": "--.-", "R": ".-.",
    "S": "...", "T": "-", "U": "..-", "V": "...-", "W": ".--", "X": "-..-", "Y": "-.--", "Z": "--..",
}  # fmt: skip
LETTERS = {code: letter for letter, code in CODES.items()}


def write_speech(path, text):
    """Says words in Morse code: a dash is three dots long, and so is the pause between letters; between words it is seven."""
    loud = []
    for word in text.split():
        for letter in word:
            for sign in CODES[letter]:
                loud += [True] * (1 if sign == "." else 3) + [False]
            loud += [False] * 2
        loud += [False] * 4
    tone = bytes(round(128 + 100 * math.sin(2 * math.pi * 500 * i / RATE)) for i in range(DOT))
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(RATE)
        file.writeframes(b"".join(tone if dot else bytes([128]) * DOT for dot in loud))


def read_speech(path):
    """The words that a WAV file says in Morse code."""
    with wave.open(path, "rb") as file:
        sound = file.readframes(file.getnframes())
    dots = (sound[start : start + DOT] for start in range(0, len(sound), DOT))
    line = "".join("=" if max(dot) - min(dot) > 50 else " " for dot in dots)
    words = []
    for word in line.strip().split(" " * 7):
        codes = ("".join(".-"[len(sign) > 1] for sign in letter.split()) for letter in word.split(" " * 3))
        words.append("".join(LETTERS.get(code, "?") for code in codes))
    return " ".join(words)


def write_picture(path, rows):
    """Writes rows of grey values from 0 to 255 as PNG."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def read_picture(path):
    """The rows of a picture that `write_picture` wrote."""
    with open(path, "rb") as file:
        data = file.read()
    at, pixels = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"IHDR":
            width, height = struct.unpack(">II", data[at + 8 : at + 16])
        elif kind == b"IDAT":
            pixels += data[at + 8 : at + 8 + length]
        at += length + 12
    pixels = zlib.decompress(pixels)
    # Each row starts with a byte that names its filter.
    return [pixels[row * (width + 1) + 1 : (row + 1) * (width + 1)] for row in range(height)]
