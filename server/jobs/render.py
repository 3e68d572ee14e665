"""`python -m server.jobs.render TYPE SHOWN THUMBNAIL < ORIGINAL`: makes of one attachment what people are shown.

A program of its own, with little memory, little time and no rights of the server's: what it opens came from outside,
and decoders have faults. A photograph is turned upright and written anew from its pixels, so that nothing that the
phone wrote beside them (place, device, a picture in the picture) is left; a recording is scrubbed (`scrub.py`).
Exit code 3 means that it will never be shown: too large, or not what it says. Exit code 4: the disk would not take what
was made, which says nothing of the picture.
"""

from __future__ import annotations

import errno
import shutil
import sys
from pathlib import Path
from typing import BinaryIO

from server.jobs.scrub import NotScrubbed, scrub
from sync import media

PIXELS_MAX = 120_000_000
"""A little above the largest phone camera; a bomb of a few kilobytes claims thousands of millions."""
SHOWN_PIXELS, THUMBNAIL_PIXELS = 2_048, 320
"""The longer side."""
JPEG_QUALITY = 88
MEMORY_BYTES_MAX = 1024**3
CPU_SECONDS_MAX = 60
WRITTEN_BYTES_MAX = 4 * 1024**3
NEVER, LATER = 3, 4
OF_THE_DISK = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
        errno.EACCES,
        errno.EPERM,
        errno.ENOENT,
        errno.ESTALE,
    }
)
"""What the system says of the disk. A decoder that fails on a picture gives no number."""
FORMATS = {media.JPEG.type: "JPEG", media.PNG.type: "PNG", media.WEBP.type: "WEBP", media.HEIC.type: "HEIF"}


def confine() -> None:
    """Take away memory and time beyond what one picture needs, and every file but those that are open or made."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
    resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN_BYTES_MAX, WRITTEN_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def photograph(original: BinaryIO, media_type: str, shown: Path, thumbnail: Path) -> None:
    """Write the upright picture in two sizes, as JPEG made of its pixels alone."""
    from PIL import Image, ImageOps

    if media_type == media.HEIC.type:
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False)
    Image.MAX_IMAGE_PIXELS = None  # ours is asked below, before anything is decoded
    with Image.open(original, formats=[FORMATS[media_type]]) as opened:
        if opened.width * opened.height > PIXELS_MAX:
            raise NotScrubbed("pixels")
        opened.draft(
            "RGB", (SHOWN_PIXELS, SHOWN_PIXELS)
        )  # a JPEG is decoded at an eighth to a half where it can
        opened.thumbnail((SHOWN_PIXELS, SHOWN_PIXELS))
        upright = ImageOps.exif_transpose(opened)
        profile = opened.info.get("icc_profile")
    for side, path in ((SHOWN_PIXELS, shown), (THUMBNAIL_PIXELS, thumbnail)):
        upright.thumbnail((side, side))
        layer = (
            upright.convert("RGBA")
            if "A" in upright.getbands() or "transparency" in upright.info
            else upright
        )
        clean = Image.new("RGB", upright.size, "white")
        clean.paste(layer.convert("RGB"), mask=layer.getchannel("A") if layer.mode == "RGBA" else None)
        clean.save(path, "JPEG", quality=JPEG_QUALITY, optimize=True, icc_profile=profile)


def main() -> int:
    media_type, shown, thumbnail = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    confine()
    try:
        if media.ACCEPTED[media_type].kind is media.MediaKind.PHOTOGRAPH:
            photograph(sys.stdin.buffer, media_type, shown, thumbnail)
        else:
            with shown.open("w+b") as copy:
                shutil.copyfileobj(sys.stdin.buffer, copy)
                scrub(copy, media_type)
    except (NotScrubbed, OSError, ValueError, SyntaxError, MemoryError) as error:
        # The kind alone: a decoder's message may quote the file.
        print(type(error).__name__, file=sys.stderr)
        return LATER if isinstance(error, OSError) and error.errno in OF_THE_DISK else NEVER
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
