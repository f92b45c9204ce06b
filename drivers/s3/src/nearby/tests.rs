use super::*;

fn object(name: &str) -> Line {
    Line::Object { name: name.into(), etag: Some(name.into()), size: 1, has_sum: false }
}

fn prefix(name: &str) -> Line {
    Line::Prefix(format!("{name}/"))
}

fn found(name: &str) -> Near {
    Near::File(file(name, 1, None), false)
}

fn watched() -> Nearby {
    let nearby = Nearby::default();
    nearby.watched(true);
    nearby
}

/// Asks as if these were all in the directory, and more than are told in a window.
fn ask(nearby: &Nearby, key: &str, all: &[Line]) -> Ask {
    let ask = nearby.begin(key).expect("it may be asked");
    let after: Vec<Line> =
        all.iter().filter(|line| line.text() > ask.from.as_str()).cloned().collect();
    let is_more = after.len() > ask.size;
    nearby.end(&ask, (&after[..after.len().min(ask.size)], true), is_more);
    ask
}

#[tokio::test(start_paused = true)]
async fn one_window_answers_for_its_neighbours_once_each() {
    let nearby = watched();
    assert_eq!(nearby.take("d/b"), None);
    ask(&nearby, "d/b", &[object("a"), object("b"), object("b-"), prefix("c")]);
    assert_eq!(nearby.take("d/a"), None, "it comes before");
    assert_eq!(nearby.take("d/b"), Some(found("b")));
    assert_eq!(nearby.take("d/b"), None, "asked again, it may be another");
    assert_eq!(nearby.take("d/c"), Some(Near::Directory));
    assert_eq!(nearby.take("d/bb"), Some(Near::Nothing));
    assert_eq!(nearby.take("e/b"), None);
    tokio::time::advance(LIFE).await;
    assert_eq!(nearby.take("d/d"), None, "it was long ago");
}

#[tokio::test]
async fn what_is_beyond_the_last_line_or_may_have_a_twin_there_isnt_known() {
    let nearby = watched();
    let all: Vec<Line> = (0..100).map(|number| object(&format!("{number:03}"))).collect();
    let asked = ask(&nearby, "d/000", &all);
    assert_eq!(asked.size, FIRST);
    assert_eq!(nearby.take("d/030"), Some(found("030")));
    // `031/` would be the next line.
    assert_eq!(nearby.take("d/031"), None);
    assert_eq!(nearby.take("d/099"), None);
}

#[tokio::test]
async fn what_was_changed_while_it_was_asked_for_or_since_isnt_known_nor_what_is_above() {
    let nearby = watched();
    let asked = nearby.begin("d/a").expect("it may be asked");
    drop(nearby.touching("d/x/y"));
    nearby.end(&asked, (&[object("a"), prefix("x")], true), false);
    assert_eq!(nearby.take("d/x"), None);
    nearby.touch("d/a");
    assert_eq!(nearby.take("d/a"), None);
    assert_eq!(nearby.take("d/z"), Some(Near::Nothing));
}

#[tokio::test]
async fn windows_grow_where_neighbours_are_asked_for_and_shrink_where_they_arent() {
    let nearby = watched();
    let all: Vec<Line> = (0..5_000).map(|number| object(&format!("{number:04}"))).collect();
    let mut asked = Vec::new();
    for number in 0..5_000 {
        let key = format!("dense/{number:04}");
        if nearby.take(&key).is_none() {
            asked.push(ask(&nearby, &key, &all).size);
            nearby.take(&key).expect("now it is known");
        }
    }
    assert_eq!(asked[..4], [FIRST, FIRST * GROWTH, LARGEST, LARGEST]);
    assert!(asked.len() <= 8, "{asked:?}");
    let sparse = |number: usize| {
        let key = format!("sparse/{number:04}");
        let size = ask(&nearby, &key, &all).size;
        nearby.take(&key).expect("now it is known");
        size
    };
    assert_eq!([sparse(7), sparse(4_000), sparse(2_000)], [FIRST, SPARSE, SPARSE]);
    assert!(nearby.turn("sparse/1").await.is_none(), "nobody need wait");
    assert!(nearby.turn("dense/1").await.is_some());
}

#[tokio::test]
async fn a_server_that_lists_otherwise_than_it_was_asked_isnt_asked_any_more() {
    for (lines, is_sorted) in [
        // Before the beginning, in no order, without directories.
        ([object("a"), object("c")], true),
        ([object("b"), object("c")], false),
        ([object("b"), object("c/d")], true),
    ] {
        let nearby = watched();
        let asked = nearby.begin("d/b").expect("it may be asked");
        nearby.end(&asked, (&lines, is_sorted), false);
        assert_eq!(nearby.take("d/b"), None);
        assert_eq!(nearby.begin("d/b"), None);
    }
}

#[tokio::test]
async fn nothing_is_remembered_while_nobody_watches() {
    let nearby = Nearby::default();
    assert_eq!(nearby.begin("a"), None);
    nearby.watched(true);
    ask(&nearby, "a", &[object("a")]);
    nearby.keep_told("b", Near::Directory);
    nearby.watched(false);
    assert_eq!((nearby.take("a"), nearby.take("b")), (None, None));
}

#[tokio::test]
async fn what_the_watch_has_told_is_known_until_it_changes() {
    let nearby = watched();
    let near = Near::File(file("e", 1, None), true);
    nearby.keep_told("d/a", near);
    assert_eq!(nearby.take("d/a"), Some(near));
    nearby.keep_told("d/a", near);
    nearby.touch("d/a");
    assert_eq!(nearby.take("d/a"), None);
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let nearby = watched();
    let all: Vec<Line> = (0..LARGEST).map(|number| object(&format!("{number:04}"))).collect();
    for number in 0..2_000 {
        ask(&nearby, &format!("{number}/0000"), &all[..number % LARGEST]);
    }
    let memory = nearby.memory();
    assert!(memory.windows.len() <= WINDOWS_MAX);
    assert!(memory.windows.iter().map(|it| it.lines.len()).sum::<usize>() <= LINES_MAX + FIRST);
}

#[test]
fn a_text_just_before_a_name_is_less_than_it() {
    for name in ["b", "file 17", "a!", "ü", "a~", "00", "0", "!"] {
        let before = just_before(name);
        assert!(before.as_str() < name, "{before} {name}");
    }
    assert_eq!(just_before("file 17"), "file 16~");
}
