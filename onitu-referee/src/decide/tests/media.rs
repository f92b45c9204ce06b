//! The media type that a content was found to be goes where its bytes go.

use onitu_core::Media;

use super::*;

fn typed(text: &str, media: &str) -> Content {
    Content { media: Media::named(media), ..file(text) }
}

#[test]
fn it_is_learned_from_whoever_has_the_same_bytes() {
    let expected = Media::named("image/png");
    let before = record(2, file("x"), &[(A, 2, "a"), (B, 1, "b")]);
    let looked = after(&before, A, &seen(typed("x", "image/png"), "a"));
    assert_eq!((looked.revision, looked.content.media), (2, expected), "the same state, read");
    let joined = after(&before, B, &seen(typed("x", "image/png"), "b2"));
    assert_eq!((joined.revision, joined.content.media), (2, expected), "first contact");
    let arrived = after(&before, B, &placed(2, typed("x", "image/png"), "b2"));
    assert_eq!((arrived.revision, arrived.content.media), (2, expected), "it travelled");
    let fetched = Observed::Fetched { revision: 1, content: typed("x", "image/png") };
    let unread = record(1, unhashed("x"), &[(A, 1, "a")]);
    assert_eq!(after(&unread, B, &fetched).content.media, expected, "it has just arrived");
}

#[test]
fn other_bytes_have_their_own_or_none_that_is_known() {
    let before = record(2, typed("x", "image/png"), &[(A, 2, "a"), (B, 2, "b")]);
    let edited = after(&before, A, &seen(typed("yy", "text/plain"), "a2"));
    assert_eq!((edited.revision, edited.content.media), (3, Media::named("text/plain")));
    let unseen = after(&before, A, &seen(file("yy"), "a2"));
    assert_eq!((unseen.revision, unseen.content.media), (3, None), "nobody has looked at them");
    let foreign = after(&before, C, &seen(typed("yy", "text/plain"), "c"));
    assert_eq!(foreign.content.media, Media::named("image/png"), "what lost the name says nothing");
    let old = after(&before, B, &placed(1, typed("yy", "text/plain"), "b2"));
    assert_eq!(old.content.media, Media::named("image/png"), "an earlier revision says nothing");
}

#[test]
fn it_stays_where_only_attributes_change_or_nobody_looked_again() {
    let before = record(2, typed("x", "image/png"), &[(A, 2, "a")]);
    let touched = Content { mtime_ns: 2, ..file("x") };
    let touched = after(&before, A, &seen(touched, "a2"));
    assert_eq!((touched.revision, touched.content.media), (3, before.content.media));
    let again = after(&before, A, &seen(file("x"), "a2"));
    assert_eq!((again.revision, again.content.media), (2, before.content.media));
}
