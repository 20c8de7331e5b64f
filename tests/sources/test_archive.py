import bz2
import gzip
import io
import lzma
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import pytest

from mien.errors import PictureError, SourceError
from mien.sources.archive import Limits, is_archive, members

FILES = {"b.jpg": b"second" * 40, "deep/er/a.PNG": b"first" * 300}
PACKED = {".tar": bytes, ".tar.gz": gzip.compress, ".tgz": gzip.compress, ".tar.bz2": bz2.compress}
PACKED[".tar.xz"] = lzma.compress


def entry(name, data=b"", kind=tarfile.REGTYPE, **more):
    info = tarfile.TarInfo(name)
    info.size, info.type = len(data), kind
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def tar(*entries, form=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as file:
        for info, data in entries:
            file.addfile(info, io.BytesIO(data) if data else None)
    return buffer.getvalue()


def plain_tar(files):
    return tar(*(entry(name, data) for name, data in files.items()))


def zipped(files, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return buffer.getvalue()


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def read_until_error(path, **limits):
    """What was yielded before the SourceError, and its message."""
    found = []
    with pytest.raises(SourceError) as caught:
        found.extend(members(path, Limits(**limits)))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.isprintable()
    return found, message


def refusal(path, **limits):
    """The one refused member of an archive: its name and why."""
    (name, error), (after, data) = members(path, Limits(**limits))
    assert isinstance(error, PictureError)
    assert str(error).startswith(name)
    assert name.isprintable()
    assert str(error).isprintable()
    assert (after, data) == (f"{path}/after.jpg", b"whole")
    return name, str(error)


@contextmanager
def peak_memory():
    """A list that holds, afterwards, the most bytes that Python held at once.

    Two megabytes of them may be the interpreter's own: its table of interned strings, when it happens to grow.
    """
    tracemalloc.start()
    peak = []
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["a.zip", "A.ZIP", "a.b.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"])
def test_archives_are_known_by_name(name):
    assert is_archive(Path("folder", name))


@pytest.mark.parametrize("name", ["a.gz", "a.jpg", "zip", "a.zip.jpg", "a.7z", "a.tar.gz/b"])
def test_other_names_are_no_archives(name):
    assert not is_archive(Path(name))


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"])
def test_pictures_come_in_the_archives_order(tmp_path, suffix):
    data = zipped(FILES) if suffix == ".zip" else PACKED[suffix](plain_tar(FILES))
    path = write(tmp_path, f"faces{suffix}", data)
    assert list(members(path)) == [(f"{path}/{name}", data) for name, data in FILES.items()]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_tars_content_says_how_it_is_compressed(tmp_path):
    path = write(tmp_path, "faces.tar", lzma.compress(plain_tar(FILES)))
    assert len(list(members(path))) == 2


@pytest.mark.parametrize("padding", [8, 2**17])
def test_xz_of_many_streams_with_padding(tmp_path, padding):
    data = plain_tar(FILES)
    packed = lzma.compress(data[:700]) + bytes(padding) + lzma.compress(data[700:]) + bytes(padding)
    assert [data for _, data in members(write(tmp_path, "a.tar.xz", packed))] == list(FILES.values())


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_every_form_with_long_names(tmp_path, form):
    name = f"{'d' * 90}/{'ö' * 40}.jpg" if form == tarfile.USTAR_FORMAT else f"{'d' * 255}/{'ö' * 99}.jpg"
    path = write(tmp_path, "a.tar", tar(entry(f"./{name}", b"x" * 512), form=form))
    assert list(members(path)) == [(f"{path}/./{name}", b"x" * 512)]


def test_what_is_no_picture_or_hidden_is_left_out(tmp_path):
    names = ["notes.txt", ".hidden.jpg", ".git/a.jpg", "__MACOSX/._b.jpg", "__MACOSX/c.jpg", "jpg", "./d.jpg"]
    files = dict.fromkeys(names, b"x" * 2000)
    for path in (
        write(tmp_path, "a.zip", zipfile_with_folder(files)),
        write(tmp_path, "a.tar", tar_with_folder(files)),
    ):
        assert list(members(path)) == [(f"{path}/./d.jpg", b"x" * 2000)]


def zipfile_with_folder(files):
    return zipped({"folder.jpg/": b"", **files})


def tar_with_folder(files):
    return tar(entry("folder.jpg", kind=tarfile.DIRTYPE), *(entry(name, data) for name, data in files.items()))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/etc/a.jpg", "absolute path"),
        ("\\\\server\\a.jpg", "absolute path"),
        ("C:\\a.jpg", "absolute path"),
        ("c:a.jpg", "absolute path"),
        ("../a.jpg", "leads out of the archive"),
        ("in/../../a.jpg", "leads out of the archive"),
        ("..\\a.jpg", "leads out of the archive"),
        ("a\x1b[2J\n.jpg", "control characters"),
        ("a\x9b.jpg", "control characters"),
        (f"{'long/' * 900}a.jpg", "4,505 characters"),
    ],
)
def test_names_that_mean_harm_are_refused_and_the_rest_goes_on(tmp_path, name, expected):
    files = {name: b"x", "after.jpg": b"whole"}
    for path in (write(tmp_path, "a.zip", zipped(files)), write(tmp_path, "a.tar", plain_tar(files))):
        shown, message = refusal(path)
        assert expected in message
        assert len(shown) < 400


def test_a_name_with_a_nul_is_refused_where_zipfile_would_cut_it(tmp_path):
    data = zipped({"a.exe_b.jpg": b"x", "after.jpg": b"whole"}).replace(b"exe_b", b"exe\0b")
    name, message = refusal(write(tmp_path, "a.zip", data))
    assert name.endswith(r"a.exe\x00b.jpg")
    assert "control characters" in message


def test_names_that_cannot_be_shown_are_escaped(tmp_path):
    path = write(tmp_path, "a.tar", plain_tar({"gpj.\u202eerohw.jpg": b"x", "Zo\udce9.jpg": b"y", "ж 家.jpg": b"z"}))
    names = [name.removeprefix(f"{path}/") for name, _ in members(path)]
    assert names == [r"gpj.\u202eerohw.jpg", r"Zo\udce9.jpg", "ж 家.jpg"]


def test_backslashes_of_old_windows_zips_separate_folders(tmp_path):
    path = write(tmp_path, "a.zip", zipped({"in\\a.jpg": b"x", "in\\.b.jpg": b"y"}))
    assert list(members(path)) == [(f"{path}/in\\a.jpg", b"x")]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind, expected):
    data = tar(entry("a.jpg", kind=kind, linkname="/etc/passwd"), entry("after.jpg", b"whole"))
    assert expected in refusal(write(tmp_path, "a.tar", data))[1]


def test_sparse_files_are_refused(tmp_path):
    headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(2**60), "GNU.sparse.name": "a.jpg"}
    data = tar(entry("a.jpg", b"x", pax_headers=headers), entry("after.jpg", b"whole"))
    assert "sparse file" in refusal(write(tmp_path, "a.tar", data))[1]


def test_a_link_in_a_zip_is_refused(tmp_path):
    link = zipfile.ZipInfo("a.jpg")
    link.external_attr = 0o120777 << 16
    assert "a link" in refusal(write(tmp_path, "a.zip", zipped({link: b"/etc/passwd", "after.jpg": b"whole"})))[1]


def fields(data, **changes):
    """Changes fields of a zip's first member: in its own header and in the directory at the end."""
    places = {"flags": (6, 8, "<H"), "method": (8, 10, "<H"), "crc": (14, 16, "<I"), "size": (22, 24, "<I")}
    out = bytearray(data)
    for name, value in changes.items():
        local, central, form = places[name]
        struct.pack_into(form, out, local, value)
        struct.pack_into(form, out, data.index(b"PK\x01\x02") + central, value)
    return bytes(out)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"flags": 1}, "encrypted; unpack"),
        ({"method": 9}, "compressed by method 9"),
        ({"crc": 7}, "damaged: Bad CRC-32"),
        ({"size": 30}, "damaged: "),
        ({"size": 300}, "damaged: "),
        ({"size": 2**26 + 1}, "refused, 67,108,865 bytes"),
    ],
)
def test_damaged_members_of_a_zip_are_reported_and_the_rest_goes_on(tmp_path, changes, expected):
    data = zipped({"a.jpg": b"x" * 200, "after.jpg": b"whole"})
    assert expected in refusal(write(tmp_path, "a.zip", fields(data, **changes)))[1]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_zipfile_unpacks_without_bound_are_refused(tmp_path, method):
    path = write(tmp_path, "a.zip", zipped({"a.jpg": b"x"}, method))
    ((_, error),) = members(path)
    assert f"compressed by method {method}" in str(error)


def test_damaged_bytes_in_a_zip_do_not_stop_it(tmp_path):
    data = bytearray(zipped({"a.jpg": bytes(range(256)) * 20, "after.jpg": b"whole"}))
    data[40:60] = b"\xff" * 20
    assert "damaged: " in refusal(write(tmp_path, "a.zip", bytes(data)))[1]


@pytest.mark.parametrize(
    ("fault", "expected"), [(EOFError(), "damaged: EOFError"), (OSError("a\x1b\nb"), r"damaged: a\x1b\nb")]
)
def test_what_python_says_is_told_in_one_line(tmp_path, monkeypatch, fault, expected):
    path = write(tmp_path, "a.zip", zipped({"a.jpg": b"x"}))

    def fail(self, info):
        raise fault

    monkeypatch.setattr(zipfile.ZipFile, "open", fail)
    ((_, error),) = members(path)
    assert str(error) == f"{path}/a.jpg: {expected}"


def test_a_member_may_be_larger_than_a_directory(tmp_path):
    path = write(tmp_path, "a.zip", zipped({"a.jpg": bytes(100_000)}, zipfile.ZIP_STORED))
    ((_, data),) = members(path, Limits(directory=70_000))
    assert data == bytes(100_000)


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_a_member_may_be_as_large_as_the_limit_and_no_larger(tmp_path, form):
    files = {"a.jpg": bytes(1001), "after.jpg": b"whole"}
    path = write(tmp_path, f"a.{form}", zipped(files) if form == "zip" else plain_tar(files))
    assert "1,001 bytes, mien reads up to 1,000" in refusal(path, member=1000)[1]
    assert [len(data) for _, data in members(path, Limits(member=1001))] == [1001, 5]


def test_a_header_that_lies_about_the_size_does_not_help(tmp_path):
    data = zipped({"a.jpg": bytes(20_000_000), "after.jpg": b"whole"})
    path = write(tmp_path, "a.zip", fields(data, size=100))
    with peak_memory() as peak:
        assert "damaged: " in refusal(path)[1]
    assert peak[0] < 1_000_000


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_memory_is_that_of_one_member(tmp_path, form):
    files = {f"{index}.jpg": bytes(1_000_000) for index in range(20)}
    path = write(tmp_path, f"a.{form}", zipped(files) if form == "zip" else plain_tar(files))
    del files
    with peak_memory() as peak:
        assert sum(len(data) for _, data in members(path)) == 20_000_000
    assert peak[0] < 5_000_000


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_bomb_is_left_once_it_outgrows_its_archive(tmp_path, form):
    files = {"first.jpg": b"whole", **{f"{index}.jpg": bytes(200_000) for index in range(9)}}
    path = write(tmp_path, f"a.{form}", zipped(files) if form == "zip" else PACKED[f".{form}"](plain_tar(files)))
    found, message = read_until_error(path, total=500_000, growth=2)
    assert [len(data) for _, data in found] == [5, 200_000, 200_000]
    assert f"more than {500_000 + 2 * path.stat().st_size:,} bytes" in message
    assert "perhaps a bomb" in message


@pytest.mark.parametrize("where", ["skipped member", "after the end"])
def test_an_endless_gz_comes_to_an_end(tmp_path, where):
    info, _ = entry("zeros.bin")
    info.size = 2**40
    begun = tar(entry("a.jpg", b"x")) if where == "after the end" else plain_tar({"a.jpg": b"x"})[:1024] + info.tobuf()
    packed = gzip.compress(begun) + gzip.compress(bytes(2**20)) * 50
    found, message = read_until_error(write(tmp_path, "a.tar.gz", packed), total=2**20, growth=0)
    assert [data for _, data in found] == [b"x"]
    assert "more than 1,048,576 bytes" in message


def test_an_xz_cannot_ask_for_gigabytes_of_memory(tmp_path):
    data = bytearray(lzma.compress(plain_tar(FILES)))
    block = data[12 : 12 + (data[12] + 1) * 4]
    block[4] = 38  # a dictionary of 2 GiB
    block[-4:] = struct.pack("<I", zlib.crc32(block[:-4]))
    data[12 : 12 + len(block)] = block
    assert "Memory usage limit" in read_until_error(write(tmp_path, "a.tar.xz", bytes(data)))[1]


def test_pictures_that_do_not_compress_may_fill_an_archive_of_any_size(tmp_path):
    path = write(tmp_path, "a.tar", plain_tar({f"{index}.jpg": bytes(9000) for index in range(200)}))
    assert len(list(members(path, Limits(total=0)))) == 200


def test_a_zip_with_an_immense_directory_is_refused(tmp_path):
    path = write(tmp_path, "a.zip", zipped({f"{index}.jpg": b"x" for index in range(100)}))
    found, message = read_until_error(path, directory=2000)
    assert not found
    assert "too many members; unpack it" in message


def header(name, kind, size, data=b""):
    info, _ = entry(name, kind=kind)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("size", [2**35, 2**17, -512])
def test_headers_cannot_ask_for_memory(tmp_path, kind, size):
    data = plain_tar({"a.jpg": b"x"})[:1024] + header("long", kind, size, bytes(2**23))
    with peak_memory() as peak:
        found, message = read_until_error(write(tmp_path, "a.tar.gz", gzip.compress(data)))
    assert len(found) == 1
    assert "breaks off or is damaged after 1 picture:" in message
    assert peak[0] < 5_000_000


def test_a_member_of_negative_size_does_not_go_round_for_ever(tmp_path):
    data = plain_tar({"a.jpg": b"x"})[:1024] + header("back.txt", tarfile.REGTYPE, -1024)
    found, message = read_until_error(write(tmp_path, "a.tar", data + plain_tar({"b.jpg": b"x"})))
    assert len(found) == 1
    assert "a header points backwards" in message


def test_a_negative_size_does_not_earn_room_for_another_header(tmp_path):
    data = header("long", tarfile.GNUTYPE_LONGNAME, -(2**40)) + header("pax", tarfile.XHDTYPE, 2**35, bytes(2**23))
    with peak_memory() as peak:
        assert "a header is too long" in read_until_error(write(tmp_path, "a.tar", data))[1]
    assert peak[0] < 5_000_000


def test_memory_does_not_grow_with_members_and_global_headers(tmp_path):
    records = [b"%d %s\n" % (10_009, b"k%04d=" % index + b"v" * 9_996) for index in range(1_000)]
    data = b"".join(
        header("pax", tarfile.XGLTYPE, len(record), record) + plain_tar({f"{index}.txt": b""})[:512] * 4
        for index, record in enumerate(records)
    )
    path = write(tmp_path, "a.tar", data + plain_tar({"a.jpg": b"x"}))
    with peak_memory() as peak:
        assert len(list(members(path))) == 1
    assert peak[0] < 5_000_000


def test_digits_that_python_chokes_on_are_refused(tmp_path):
    data = header("pax", tarfile.XHDTYPE, 60_000, b"1" * 60_000)
    assert "too many digits" in read_until_error(write(tmp_path, "a.tar", data))[1]


def test_headers_without_end_are_damage(tmp_path):
    data = header("long", tarfile.GNUTYPE_LONGNAME, 4, b"abcd") * 3000
    assert "cut off, damaged, or no tar archive" in read_until_error(write(tmp_path, "a.tar", data))[1]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("keep", [0.5, 0.8])
def test_a_tar_that_breaks_off_yields_what_was_whole(tmp_path, suffix, keep):
    noise = [bytes((seed * 7919 + place * place) % 251 for place in range(3000)) for seed in range(9)]
    files = {f"{seed}.jpg": zlib.compress(data) * 20 for seed, data in enumerate(noise)}
    whole = PACKED[suffix](plain_tar(files))
    path = write(tmp_path, f"a{suffix}", whole[: int(keep * len(whole))])
    found, message = read_until_error(path)
    assert found == [(f"{path}/{name}", data) for name, data in files.items()][: len(found)]
    assert len(found) < 9
    assert "fetch it again" in message
    if suffix in (".tar", ".tar.gz"):
        assert found
        assert f"breaks off or is damaged after {len(found):,} pictures" in message


@pytest.mark.parametrize("cut", [1024, 1024 + 300, 1024 + 512, 1024 + 512 + 100])
def test_a_tar_cut_anywhere_is_noticed(tmp_path, cut):
    data = plain_tar({"a.jpg": b"x" * 512, "b.jpg": b"x" * 512})
    found, _ = read_until_error(write(tmp_path, "a.tar", data[:cut]))
    assert len(found) == 1


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    data = bytearray(plain_tar({"a.jpg": b"x" * 512, "b.jpg": b"x" * 512}))
    data[1024 + 150] ^= 1
    found, message = read_until_error(write(tmp_path, "a.tar", bytes(data)))
    assert len(found) == 1
    assert "breaks off or is damaged after 1 picture:" in message


def test_a_wrong_checksum_of_packed_data_is_noticed(tmp_path):
    data = bytearray(gzip.compress(plain_tar(FILES)))
    data[-8] ^= 1
    found, message = read_until_error(write(tmp_path, "a.tgz", bytes(data)))
    assert len(found) == 2
    assert "CRC check failed" in message


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize("data", [b"", b"no archive at all\x1b[2J", b"\x1f\x8b\x08", b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_archive_says_so(tmp_path, suffix, data):
    found, message = read_until_error(write(tmp_path, f"a{suffix}", data))
    assert not found
    assert "damaged, or no" in message


def test_a_zip_that_was_cut_off_says_so(tmp_path):
    _, message = read_until_error(write(tmp_path, "a.zip", zipped(FILES)[:-30]))
    assert "cut off, damaged, or no zip archive" in message


def test_an_empty_archive_has_no_pictures(tmp_path):
    assert list(members(write(tmp_path, "a.zip", zipped({})))) == []
    assert list(members(write(tmp_path, "a.tar", tar()))) == []


def test_archives_that_cannot_be_opened_are_named(tmp_path):
    assert "no such file" in read_until_error(tmp_path / "none.zip")[1]
    (tmp_path / "folder.tar").mkdir()
    assert "cannot be read: Is a directory" in read_until_error(tmp_path / "folder.tar")[1]
    assert "expected .zip, .tar" in read_until_error(tmp_path / "a.rar")[1]


def test_leaving_early_closes_the_file(tmp_path):
    for path in (write(tmp_path, "a.zip", zipped(FILES)), write(tmp_path, "a.tar", plain_tar(FILES))):
        reading = members(path)
        next(reading)
        reading.close()
        path.unlink()
