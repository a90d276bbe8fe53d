"""What files of audio look like: by the end of their name, and by their first bytes."""

from __future__ import annotations

import re

SUFFIXES = frozenset(  # with a header that states the rate, and read by libsndfile or FFmpeg
    ".wav .wave .bwf .rf64 .bw64 .w64 .aif .aiff .aifc .au .snd .caf .flac .ogg .oga .opus .spx .mp1 .mp2 .mp3 .mpga .m4a .m4b .m4r .mp4 "
    ".mov .3gp .3g2 .aac .adts .ac3 .eac3 .dts .amr .awb .wma .asf .wmv .mka .mkv .webm .avi .wv .ape .tta .tak .shn .mpc .voc .sph .nist "
    ".ra .rm .dsf .qcp .8svx .sf .ircam .paf .avr".split()
)
UNREADABLE = {  # suffix -> why such a file is left out of a folder
    **dict.fromkeys(
        ".pcm .raw .c2 .g722 .g723 .g726 .g728 .g729 .gsm .sln .ulaw .alaw .vox .s16 .s16le .s16be .s24le .s32le .f32 .f32le".split(),
        "no header states its rate: convert it to WAV",
    ),
    **dict.fromkeys(".zip .tar .tgz .gz .bz2 .xz .zst .7z .rar .parquet .arrow .tfrecord".split(), "unpack it"),
    **dict.fromkeys(".mid .midi .mod .xm .s3m".split(), "notes, not samples: render it"),
    **dict.fromkeys(".m4p .aa .aax .wve .ofr .la .dff .aob".split(), "no decoder here reads it: convert it to WAV"),
}
APPLE_DOUBLE = b"\x00\x05\x16\x07"  # what macOS puts beside a file on foreign disks, as ._a.wav
HEAD = 64  # bytes that is_audio looks at
_MAGIC = re.compile(
    rb"(?:RIFF|RIFX|RF64|BW64).{4}(?:WAVE|AVI )|riff\x2e\x91\xcf\x11|FORM.{4}(?:AIF[FC]|8SVX|16SV)|fLaC|OggS|ID3[\x02-\x04]|\.snd|dns\."
    rb"|caff\x00|NIST_1A|Creative Voice File|.{4}ftyp(?!hei|hev|mif|avi|crx)|\x1aE\xdf\xa3|\x30\x26\xb2\x75\x8e\x66\xcf\x11|#!AMR|wvpk"
    rb"|MAC |TTA[12]|tBaK|ajkg|MPCK|MP\+|\.RMF|DSD |\xff[\xfb\xfa\xf3\xf2\xf1\xf9]",
    re.DOTALL,
)


def is_audio(head: bytes) -> bool:
    """Whether a file that begins so is audio, whatever its name says."""
    return _MAGIC.match(head) is not None
