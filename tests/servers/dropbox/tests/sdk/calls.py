"""Calls of Dropbox's own client, and what it must make of the answers.

Run by `tests/sdk.rs` as `calls.py BASE NAME`: NAME is one of the functions below, BASE the fake
server. Every request to one of Dropbox's hosts is sent there instead, with its own `Host`.
"""

import datetime
import sys
import threading

import dropbox
import requests
from dropbox import common, files
from dropbox.exceptions import (
    ApiError,
    AuthError,
    BadInputError,
    InternalServerError,
    PathRootError,
    RateLimitError,
)

BASE = sys.argv[1]
TOKEN, REFRESH, APP = "sl.fake-access-token", "fake-refresh-token", "fakeappkey"
MIB = 1024 * 1024


class Reroute(requests.adapters.HTTPAdapter):
    """Sends what is meant for Dropbox to the fake server."""

    def send(self, request, **options):
        scheme, rest = request.url.split("://", 1)
        host, path = rest.split("/", 1)
        assert host.endswith((".dropboxapi.com", ".dropbox.com")), host
        request.headers["Host"] = host
        request.url = BASE + "/" + path
        return super().send(request, **options)


def session():
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", Reroute())
    return made


def client(token=TOKEN, **options):
    options.setdefault("max_retries_on_error", 0)
    options.setdefault("max_retries_on_rate_limit", 0)
    return dropbox.Dropbox(oauth2_access_token=token, session=session(), **options)


def wish(*wishes):
    answer = requests.post(BASE + "/control/wish", json=list(wishes))
    assert answer.status_code == 200, answer.text


def calls():
    return requests.get(BASE + "/control/seen").json()["calls"]


def refused(error, call, *arguments, **options):
    try:
        result = call(*arguments, **options)
    except error as raised:
        return raised
    raise AssertionError("%r should have raised %s" % (result, error.__name__))


def write_conflict(error, kind="file"):
    write = error.error.get_path()
    write = getattr(write, "reason", write)
    assert write.is_conflict(), error
    assert getattr(write.get_conflict(), "is_" + kind)(), error


def names(result):
    return [entry.path_display for entry in result.entries]


def account():
    dbx = client()
    assert dbx.check_user("hello").result == "hello"
    me = dbx.users_get_current_account()
    assert me.name.display_name == "Ada Lovelace" and me.account_type.is_basic()
    assert me.root_info.root_namespace_id == me.root_info.home_namespace_id
    wish({"capacity": 1000})
    dbx.files_upload(b"12345", "/a")
    space = dbx.users_get_space_usage()
    assert (space.used, space.allocation.get_individual().allocated) == (5, 1000)


def tokens():
    error = refused(AuthError, client("nobody's").files_list_folder, "")
    assert error.error.is_invalid_access_token()
    dbx = client(oauth2_refresh_token=REFRESH, app_key=APP)
    dbx._oauth2_access_token_expiration = datetime.datetime.utcnow() + datetime.timedelta(hours=9)
    wish("expire")
    error = refused(AuthError, client().files_list_folder, "")
    assert error.error.is_expired_access_token()
    # The client refreshes by itself and calls again.
    assert dbx.files_list_folder("").entries == []
    assert calls().count("oauth2/token") == 1
    wish("revoke")
    error = refused(AuthError, dbx.files_list_folder, "")
    assert error.error.is_invalid_access_token()
    # A refresh token that is no good any more.
    dbx = client(None, oauth2_refresh_token=REFRESH, app_key=APP)
    error = refused(AuthError, dbx.files_list_folder, "")
    assert error.error.is_invalid_access_token()


def oauth():
    def flow():
        made = dropbox.DropboxOAuth2FlowNoRedirect(APP, use_pkce=True, token_access_type="offline")
        made.requests_session = session()
        return made

    asked = flow()
    page = asked.requests_session.get(asked.start())
    granted = asked.finish(page.text)
    assert granted.refresh_token and granted.expires_at and granted.account_id
    dbx = client(granted.access_token)
    assert dbx.users_get_current_account().email == "ada@example.org"
    dbx = client(None, oauth2_refresh_token=granted.refresh_token, app_key=APP)
    assert dbx.files_list_folder("").entries == []
    # A code is good once, and only for who asked.
    refused(requests.HTTPError, asked.finish, page.text)
    other = flow()
    code = other.requests_session.get(asked.start()).text
    refused(requests.HTTPError, other.finish, code)


def uploads():
    dbx = client()
    when = datetime.datetime(2020, 2, 29, 12, 30, 1)
    made = dbx.files_upload(b"bytes", "/Docs/Read Me.txt", client_modified=when)
    assert (made.path_display, made.path_lower) == ("/Docs/Read Me.txt", "/docs/read me.txt")
    assert (made.size, made.client_modified, made.name) == (5, when, "Read Me.txt")
    assert made.content_hash == dropbox.content_hash.content_hash(b"bytes")
    assert len(made.rev) >= 9 and made.id.startswith("id:")
    # The same bytes again change nothing; others are in the way.
    again = dbx.files_upload(b"bytes", "/docs/READ ME.TXT")
    assert again.rev == made.rev and again.name == "Read Me.txt"
    write_conflict(refused(ApiError, dbx.files_upload, b"other", "/docs/read me.txt"))
    strict = refused(ApiError, dbx.files_upload, b"bytes", made.path_display, strict_conflict=True)
    write_conflict(strict)
    assert strict.error.get_path().upload_session_id
    renamed = dbx.files_upload(b"other", made.path_display, autorename=True)
    assert renamed.path_display == "/Docs/Read Me (2).txt"
    update = files.WriteMode.update(made.rev)
    new = dbx.files_upload(b"newer", made.path_display, mode=update, strict_conflict=True)
    assert new.rev != made.rev and new.id == made.id
    stale = refused(ApiError, dbx.files_upload, b"stale", made.path_display, mode=update)
    write_conflict(stale)
    copy = dbx.files_upload(b"stale", made.path_display, mode=update, autorename=True)
    assert "conflicted copy" in copy.name
    over = dbx.files_upload(b"over", made.path_display, mode=files.WriteMode.overwrite)
    assert over.rev != new.rev
    # Deleted meanwhile: only who is strict is told.
    dbx.files_delete_v2(made.path_display)
    update = files.WriteMode.update(over.rev)
    write_conflict(
        refused(
            ApiError, dbx.files_upload, b"x", made.path_display, mode=update, strict_conflict=True
        )
    )
    assert dbx.files_upload(b"x", made.path_display, mode=update).size == 1
    # What is in the way.
    write_conflict(refused(ApiError, dbx.files_upload, b"x", "/Docs"), "folder")
    below = refused(ApiError, dbx.files_upload, b"x", "/docs/read me.txt/below")
    write_conflict(below, "file_ancestor")


def bad_names():
    dbx = client()
    for path in ["/a/..", "/a\\b", "/a//b", "/trailing ", "/" + "n" * 256]:
        error = refused(ApiError, dbx.files_upload, b"", path).error.get_path().reason
        assert error.is_malformed_path(), path
    for path in ["/desktop.ini", "/Docs/Thumbs.db"]:
        error = refused(ApiError, dbx.files_upload, b"", path).error.get_path().reason
        assert error.is_disallowed_name(), path
    assert dbx.files_upload(b"", "/e\u0301\U0001f980").name == "\u00e9\U0001f980"
    assert dbx.files_get_metadata("/\u00c9\U0001f980").name == "\u00e9\U0001f980"
    assert dbx.files_download("/\u00e9\U0001f980")[0].name == "\u00e9\U0001f980"
    refused(BadInputError, dbx.files_list_folder, "/")
    wish({"capacity": 10})
    error = refused(ApiError, dbx.files_upload, b"x" * 11, "/large").error
    assert error.get_path().reason.is_insufficient_space()


def listing():
    dbx = client()
    assert dbx.files_list_folder("").entries == []
    for number in range(25):
        dbx.files_upload(b"x", "/Many/%02d" % number)
    dbx.files_create_folder_v2("/Many/Sub/Folder")
    page = dbx.files_list_folder("/many", limit=10)
    found = names(page)
    while page.has_more:
        assert len(page.entries) <= 11
        page = dbx.files_list_folder_continue(page.cursor)
        found += names(page)
    assert found == ["/Many/%02d" % number for number in range(25)] + ["/Many/Sub"]
    everything = dbx.files_list_folder("/MANY", recursive=True)
    assert len(everything.entries) == 28
    assert isinstance(everything.entries[0], files.FolderMetadata)
    error = refused(ApiError, dbx.files_list_folder, "/nowhere").error.get_path()
    assert error.is_not_found()
    error = refused(ApiError, dbx.files_list_folder, "/many/00").error.get_path()
    assert error.is_not_folder()


def changes():
    dbx = client()
    dbx.files_upload(b"x", "/a/old")
    cursor = dbx.files_list_folder_get_latest_cursor("", recursive=True).cursor
    assert dbx.files_list_folder_continue(cursor).entries == []
    dbx.files_upload(b"new", "/a/new")
    dbx.files_move_v2("/a/old", "/b/moved")
    dbx.files_upload(b"newer", "/a/new", mode=files.WriteMode.overwrite)
    page = dbx.files_list_folder_continue(cursor)
    told = [(type(it).__name__[:-8], it.path_display) for it in page.entries]
    assert told == [
        ("Folder", "/b"),
        ("Deleted", "/a/old"),
        ("File", "/b/moved"),
        ("File", "/a/new"),
    ], told
    cursor = page.cursor
    dbx.files_delete_v2("/a")
    page = dbx.files_list_folder_continue(cursor)
    assert [type(it) for it in page.entries] == [files.DeletedMetadata] and not page.has_more
    missing = refused(ApiError, dbx.files_get_metadata, "/a/new").error
    assert missing.get_path().is_not_found()
    deleted = dbx.files_get_metadata("/a/new", include_deleted=True)
    assert isinstance(deleted, files.DeletedMetadata) and deleted.path_display == "/a/new"
    wish("reset")
    assert refused(ApiError, dbx.files_list_folder_continue, page.cursor).error.is_reset()
    assert refused(ApiError, dbx.files_list_folder_longpoll, page.cursor).error.is_reset()
    refused(BadInputError, dbx.files_list_folder_continue, "nonsense")


def longpoll():
    dbx = client()
    cursor = dbx.files_list_folder_get_latest_cursor("", recursive=True).cursor
    wish({"longpoll": [50, 3]})
    quiet = dbx.files_list_folder_longpoll(cursor)
    assert (quiet.changes, quiet.backoff) == (False, 3)
    wish({"longpoll": [None, None]})
    writer = threading.Timer(0.2, lambda: wish({"write": ["/a", "text"]}))
    writer.start()
    woken = dbx.files_list_folder_longpoll(cursor)
    assert (woken.changes, woken.backoff) == (True, None)
    writer.join()
    # It wants no token.
    assert client("nobody's").files_list_folder_longpoll(cursor).changes


def downloads():
    dbx = client()
    made = dbx.files_upload(bytes(range(256)) * 40, "/a b\u00e9")
    for path in ["/A B\u00c9", made.id, "rev:" + made.rev]:
        metadata, response = dbx.files_download(path)
        assert metadata.rev == made.rev and response.content == bytes(range(256)) * 40
    answer = session().post(
        "https://content.dropboxapi.com/2/files/download",
        headers={
            "Authorization": "Bearer " + TOKEN,
            "Dropbox-API-Arg": '{"path": "rev:%s"}' % made.rev,
            "Range": "bytes=250-260",
        },
    )
    assert answer.status_code == 206 and answer.content == bytes([*range(250, 256), *range(5)])
    assert answer.headers["Content-Range"] == "bytes 250-260/10240"
    missing = refused(ApiError, dbx.files_download, "/nowhere").error.get_path()
    assert missing.is_not_found()
    dbx.files_create_folder_v2("/folder")
    assert refused(ApiError, dbx.files_download, "/folder").error.get_path().is_not_file()
    dbx.files_upload(b"other", "/a b\u00e9", mode=files.WriteMode.overwrite)
    # What was replaced can still be had, until Dropbox forgets it.
    assert len(dbx.files_download("rev:" + made.rev)[1].content) == 10240
    wish("forget_revisions")
    missing = refused(ApiError, dbx.files_download, "rev:" + made.rev).error.get_path()
    assert missing.is_not_found()


def revisions():
    dbx = client()
    first = dbx.files_upload(b"first", "/a", client_modified=datetime.datetime(2020, 1, 2))
    mode = files.WriteMode.update(first.rev)
    second = dbx.files_upload(b"second", "/a", mode=mode)
    dbx.files_delete_v2("/a")
    told = dbx.files_list_revisions("/A")
    assert told.is_deleted and [it.rev for it in told.entries] == [second.rev, first.rev]
    assert not told.has_more
    told = dbx.files_list_revisions("/a", limit=1)
    assert told.has_more and told.entries[0].rev == second.rev
    told = dbx.files_list_revisions("/a", before_rev=second.rev)
    assert [it.rev for it in told.entries] == [first.rev]
    error = refused(ApiError, dbx.files_list_revisions, "/a", before_rev="0123456789").error
    assert error.is_invalid_before_rev()
    assert refused(ApiError, dbx.files_list_revisions, "/b").error.get_path().is_not_found()
    listed = dbx.files_list_folder("", include_deleted=True).entries
    assert [type(it) for it in listed] == [files.DeletedMetadata] and listed[0].name == "a"
    assert dbx.files_list_folder("").entries == []
    back = dbx.files_restore("/a", first.rev)
    assert (back.size, back.client_modified) == (5, first.client_modified)
    assert back.rev != first.rev and dbx.files_download("/a")[1].content == b"first"
    assert not dbx.files_list_revisions("/a").is_deleted
    error = refused(ApiError, dbx.files_restore, "/a", "0123456789").error
    assert error.is_invalid_revision()
    error = refused(ApiError, dbx.files_restore, "/b", first.rev).error
    assert error.get_path_lookup().is_not_found()
    # By id they follow a file through its names.
    moved = dbx.files_move_v2("/a", "/c").metadata
    told = dbx.files_list_revisions("/c")
    assert [it.rev for it in told.entries] == [moved.rev]
    told = dbx.files_list_revisions("/c", mode=files.ListRevisionsMode.id)
    assert [it.rev for it in told.entries] == [moved.rev, back.rev]
    dbx.files_create_folder_v2("/folder")
    assert refused(ApiError, dbx.files_list_revisions, "/folder").error.get_path().is_not_file()


def names_changed():
    dbx = client()
    made = dbx.files_create_folder_v2("/Docs").metadata
    assert isinstance(made, files.FolderMetadata) and made.path_display == "/Docs"
    write_conflict(refused(ApiError, dbx.files_create_folder_v2, "/DOCS"), "folder")
    assert dbx.files_create_folder_v2("/docs", autorename=True).metadata.name == "docs (2)"
    file = dbx.files_upload(b"bytes", "/Docs/a.txt")
    moved = dbx.files_move_v2("/docs/A.TXT", "/Docs/b.txt").metadata
    assert moved.id == file.id and moved.content_hash == file.content_hash
    copied = dbx.files_copy_v2("/docs/b.txt", "/Other/b.txt").metadata
    assert copied.id != file.id and copied.path_display == "/Other/b.txt"
    error = refused(ApiError, dbx.files_move_v2, "/docs/b.txt", "/other/B.txt").error
    assert error.is_to() and error.get_to().get_conflict().is_file()
    error = refused(ApiError, dbx.files_move_v2, "/docs/b.txt", "/docs/B.TXT").error
    assert error.is_duplicated_or_nested_paths()
    error = refused(ApiError, dbx.files_move_v2, "/docs", "/docs/below").error
    assert error.is_cant_move_folder_into_itself()
    error = refused(ApiError, dbx.files_move_v2, "/nowhere", "/x").error
    assert error.get_from_lookup().is_not_found()
    error = refused(ApiError, dbx.files_delete_v2, "/docs/b.txt", parent_rev=file.rev).error
    assert error.get_path_write().get_conflict().is_file()
    gone = dbx.files_delete_v2("/docs/B.txt", parent_rev=moved.rev).metadata
    assert isinstance(gone, files.FileMetadata) and gone.rev == moved.rev
    error = refused(ApiError, dbx.files_delete_v2, "/docs/b.txt").error
    assert error.get_path_lookup().is_not_found()
    dbx.files_move_v2("/Other", "/Docs/Inner")
    assert names(dbx.files_list_folder("/docs", recursive=True)) == [
        "/Docs",
        "/Docs/Inner",
        "/Docs/Inner/b.txt",
    ]


def batches():
    dbx = client()
    made = dbx.files_create_folder_batch(["/a", "/b", "/a"]).get_complete().entries
    assert [entry.is_success() for entry in made] == [True, True, False]
    assert made[2].get_failure().get_path().get_conflict().is_folder()
    dbx.files_upload(b"1", "/a/1")
    wish({"job_polls": 1})

    def done(launched, check):
        job = launched.get_async_job_id()
        assert check(job).is_in_progress()
        return check(job).get_complete().entries

    pair = files.RelocationPath
    copied = done(
        dbx.files_copy_batch_v2([pair("/a/1", "/b/1"), pair("/a/2", "/b/2")]),
        dbx.files_copy_batch_check_v2,
    )
    assert copied[0].get_success().path_display == "/b/1"
    error = copied[1].get_failure().get_relocation_error()
    assert error.get_from_lookup().is_not_found()
    moved = done(dbx.files_move_batch_v2([pair("/a/1", "/b/3")]), dbx.files_move_batch_check_v2)
    assert isinstance(moved[0].get_success(), files.FileMetadata)
    gone = done(
        dbx.files_delete_batch([files.DeleteArg("/a"), files.DeleteArg("/c")]),
        dbx.files_delete_batch_check,
    )
    assert gone[0].get_success().metadata.path_display == "/a"
    assert gone[1].get_failure().get_path_lookup().is_not_found()
    error = refused(ApiError, dbx.files_delete_batch_check, "no job").error
    assert error.is_invalid_async_job_id()


def sessions():
    dbx = client()
    cursor = files.UploadSessionCursor
    begun = dbx.files_upload_session_start(b"first ")
    error = refused(
        ApiError, dbx.files_upload_session_append_v2, b"x", cursor(begun.session_id, 99)
    ).error
    assert error.get_incorrect_offset().correct_offset == 6
    assert dbx.files_upload_session_append_v2(b"second ", cursor(begun.session_id, 6)) is None
    commit = files.CommitInfo("/large")
    error = refused(
        ApiError, dbx.files_upload_session_finish, b"x", cursor(begun.session_id, 6), commit
    ).error
    assert error.get_lookup_failed().get_incorrect_offset().correct_offset == 13
    made = dbx.files_upload_session_finish(b"third", cursor(begun.session_id, 13), commit)
    assert made.size == 18 and dbx.files_download("/large")[1].content == b"first second third"
    error = refused(
        ApiError, dbx.files_upload_session_append_v2, b"x", cursor(begun.session_id, 18)
    ).error
    assert error.is_not_found()
    # What is in the way is told, and the bytes stay for another attempt.
    begun = dbx.files_upload_session_start(b"other")
    error = refused(
        ApiError, dbx.files_upload_session_finish, b"!", cursor(begun.session_id, 5), commit
    ).error
    assert error.get_path().get_conflict().is_file()
    commit.autorename = True
    assert dbx.files_upload_session_finish(b"", cursor(begun.session_id, 6), commit).size == 6
    closed = dbx.files_upload_session_start(b"x", close=True).session_id
    error = refused(ApiError, dbx.files_upload_session_append_v2, b"x", cursor(closed, 1)).error
    assert error.is_closed()


def concurrent():
    dbx = client()
    cursor, kind = files.UploadSessionCursor, files.UploadSessionType.concurrent
    error = refused(ApiError, dbx.files_upload_session_start, b"x", session_type=kind).error
    assert error.is_concurrent_session_data_not_allowed()
    error = refused(
        ApiError, dbx.files_upload_session_start, b"", close=True, session_type=kind
    ).error
    assert error.is_concurrent_session_close_not_allowed()
    id = dbx.files_upload_session_start(b"", session_type=kind).session_id
    append = dbx.files_upload_session_append_v2
    error = refused(ApiError, append, b"x" * 4 * MIB, cursor(id, 7)).error
    assert error.is_concurrent_session_invalid_offset()
    error = refused(ApiError, append, b"x" * 7, cursor(id, 0)).error
    assert error.is_concurrent_session_invalid_data_size()
    append(b"b" * 4 * MIB, cursor(id, 4 * MIB))
    commit = files.CommitInfo("/large")
    finish = dbx.files_upload_session_finish
    error = refused(ApiError, finish, b"", cursor(id, 8 * MIB + 5), commit).error
    assert error.is_concurrent_session_not_closed()
    error = refused(ApiError, finish, b"x", cursor(id, 8 * MIB + 5), commit).error
    assert error.is_concurrent_session_data_not_allowed()
    append(b"a" * 4 * MIB, cursor(id, 0))
    # One whose answer was lost may be sent again.
    append(b"a" * 4 * MIB, cursor(id, 0))
    append(b"c" * 5, cursor(id, 8 * MIB), close=True)
    assert refused(ApiError, append, b"x" * 4 * MIB, cursor(id, 0)).error.is_closed()
    gap = dbx.files_upload_session_start(b"", session_type=kind).session_id
    append(b"late", cursor(gap, 4 * MIB), close=True)
    error = refused(ApiError, finish, b"", cursor(gap, 4 * MIB + 4), commit).error
    assert error.is_concurrent_session_missing_data()
    made = finish(b"", cursor(id, 8 * MIB + 5), commit)
    assert made.size == 8 * MIB + 5
    whole = b"a" * 4 * MIB + b"b" * 4 * MIB + b"c" * 5
    assert made.content_hash == dropbox.content_hash.content_hash(whole)


def session_batches():
    dbx = client()
    cursor, entry = files.UploadSessionCursor, files.UploadSessionFinishArg
    ids = dbx.files_upload_session_start_batch(3).session_ids
    piece = files.UploadSessionAppendBatchArgEntry
    told = dbx.files_upload_session_append_batch(
        b"onetwothree",
        [
            piece(cursor(ids[0], 0), 3, close=True),
            piece(cursor(ids[1], 9), 3, close=True),
            piece(cursor(ids[2], 0), 5),
        ],
    ).entries
    assert [it.is_success() for it in told] == [True, False, True]
    assert told[1].get_failure().get_incorrect_offset().correct_offset == 0
    finished = dbx.files_upload_session_finish_batch_v2(
        [
            entry(cursor(ids[0], 3), files.CommitInfo("/one")),
            entry(cursor(ids[2], 5), files.CommitInfo("/three")),
            entry(cursor("no session", 0), files.CommitInfo("/four")),
        ]
    ).entries
    assert finished[0].get_success().path_display == "/one"
    assert finished[1].get_failure().get_lookup_failed().is_not_closed()
    assert finished[2].get_failure().get_lookup_failed().is_not_found()
    # Each entry meets what is in its own way, and one that was refused may be finished later.
    ids = dbx.files_upload_session_start_batch(3).session_ids
    bytes = [piece(cursor(id, 0), 1, close=True) for id in ids]
    dbx.files_upload_session_append_batch(b"abc", bytes)
    wish({"busy_entries": 1})
    wanted = [
        entry(cursor(ids[0], 1), files.CommitInfo("/a")),
        entry(cursor(ids[1], 1), files.CommitInfo("/one")),
        entry(cursor(ids[2], 1), files.CommitInfo("/one", mode=files.WriteMode.overwrite)),
    ]
    finished = dbx.files_upload_session_finish_batch_v2(wanted).entries
    assert finished[0].get_failure().is_too_many_write_operations()
    assert finished[1].get_failure().get_path().get_conflict().is_file()
    assert finished[2].is_success()
    finished = dbx.files_upload_session_finish_batch_v2(wanted[:1]).entries
    assert finished[0].get_success().size == 1
    error = refused(ApiError, dbx.files_upload_session_append_batch, b"four", bytes).error
    assert error.is_length_mismatch()


def hashes():
    dbx = client(auto_content_hash=False)
    wrong = "0" * 64
    error = refused(ApiError, dbx.files_upload, b"x", "/a", content_hash=wrong).error
    assert error.is_content_hash_mismatch()
    error = refused(ApiError, dbx.files_upload_session_start, b"x", content_hash=wrong).error
    assert error.is_content_hash_mismatch()


def limits():
    dbx = client()

    def fault(trouble, route="files/get_metadata"):
        wish({"fault": {"route": route, "times": 1, "trouble": trouble}})

    fault({"too_many_requests": 7})
    error = refused(RateLimitError, dbx.files_get_metadata, "/a")
    assert error.backoff == 7 and error.error.reason.is_too_many_requests()
    fault({"too_many_writes": 2}, "files/upload")
    error = refused(RateLimitError, dbx.files_upload, b"x", "/a")
    assert error.backoff == 2 and error.error.reason.is_too_many_write_operations()
    fault({"status": 503}, "*")
    assert refused(InternalServerError, dbx.files_get_metadata, "/a").status_code == 503
    fault("reset", "*")
    refused(requests.ConnectionError, dbx.files_get_metadata, "/a")
    fault("lost_answer", "files/upload")
    refused(requests.ConnectionError, dbx.files_upload, b"x", "/a")
    assert dbx.files_get_metadata("/a").size == 1
    wish({"writes": [0, 5]})
    assert refused(RateLimitError, dbx.files_delete_v2, "/a").backoff == 5
    wish({"writes": [None, 0]}, {"calls": 0})
    assert refused(RateLimitError, dbx.files_get_metadata, "/a").backoff == 1


def path_root():
    dbx = client()
    wish({"team": True})
    info = dbx.users_get_current_account().root_info
    assert isinstance(info, common.TeamRootInfo)
    assert info.home_path == "/Ada Lovelace"
    dbx.files_upload(b"x", "/mine")
    team = dbx.with_path_root(common.PathRoot.root(info.root_namespace_id))
    team.files_upload(b"x", "/Team Folder/ours")
    found = names(team.files_list_folder("", recursive=True))
    assert found == ["/Ada Lovelace", "/Ada Lovelace/mine", "/Team Folder", "/Team Folder/ours"]
    assert names(dbx.files_list_folder("")) == ["/mine"]
    home = dbx.with_path_root(common.PathRoot.namespace_id(info.home_namespace_id))
    assert names(home.files_list_folder("")) == ["/mine"]
    assert names(dbx.with_path_root(common.PathRoot.home).files_list_folder("")) == ["/mine"]
    other = dbx.with_path_root(common.PathRoot.root("999"))
    error = refused(PathRootError, other.files_list_folder, "").error
    assert error.get_invalid_root().root_namespace_id == info.root_namespace_id
    other = dbx.with_path_root(common.PathRoot.namespace_id("999"))
    assert refused(PathRootError, other.files_list_folder, "").error.is_no_permission()


if __name__ == "__main__":
    globals()[sys.argv[2]]()
