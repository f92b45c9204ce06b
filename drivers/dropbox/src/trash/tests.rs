use serde_json::json;

use super::*;

fn thing(rev: &str) -> Thing {
    let metadata = json!({
        ".tag": "file", "name": "a", "id": "id:1", "rev": rev, "size": 7,
        "client_modified": "2020-09-13T12:26:40Z", "content_hash": "abc",
    });
    Thing::read(&metadata).expect("it is there")
}

fn query(below: &str, limit: usize) -> TrashQuery {
    let below = Path::new(below).unwrap_or_else(|_| Path::root());
    TrashQuery { below, after_ms: 0, cursor: None, limit }
}

async fn opened(home: &tempfile::TempDir) -> Trash {
    Trash::open(home.path(), 30).await.expect("it opens")
}

/// All ids, by following pages of so many.
async fn ids(trash: &Trash, below: &str, limit: usize) -> Vec<String> {
    let (mut query, mut ids) = (query(below, limit), Vec::new());
    for _ in 0..10_000 {
        let page = trash.page(&query).await.expect("a page");
        assert!(page.items.len() <= limit);
        ids.extend(page.items.into_iter().map(|item| item.id));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return ids,
        }
    }
    panic!("the pages don't end");
}

#[tokio::test]
async fn a_long_list_is_told_once_in_pages_of_any_size_also_after_a_restart() {
    let home = tempfile::tempdir().expect("a directory");
    let trash = opened(&home).await;
    // More than is read at once.
    for number in 0..3_000 {
        let path = format!("{}/{}/{number}", number % 3, "n".repeat(100));
        let path = Path::new(&path).expect("a path");
        trash.add(&path, &thing("0123456789"), Why::Removed).await.expect("it is noted");
    }
    let all = ids(&opened(&home).await, "", 500).await;
    assert_eq!(all.len(), 3_000);
    for limit in [7, 499, 1_000] {
        assert_eq!(ids(&trash, "", limit).await, all, "{limit}");
    }
    assert_eq!(ids(&trash, "1", 100).await.len(), 1_000);
    assert_eq!(trash.get(&all[0]).await.expect("it is there").path.name(), "2999");
    for id in &all[10..20] {
        trash.forget(id).await.expect("it is noted");
        assert_eq!(trash.get(id).await.map_err(|it| it.kind).err(), Some(FaultKind::NotFound));
    }
    assert_eq!(ids(&trash, "", 500).await.len(), 2_990);
}

#[tokio::test]
async fn a_torn_line_costs_itself_alone_and_no_id_leads_out() {
    let home = tempfile::tempdir().expect("a directory");
    let trash = opened(&home).await;
    let path = Path::new("a").expect("a path");
    trash.add(&path, &thing("0123456789"), Why::Removed).await.expect("it is noted");
    let file = std::fs::read_dir(home.path().join("trash")).expect("there").next().expect("one");
    let file = file.expect("one").path();
    let mut bytes = std::fs::read(&file).expect("read");
    bytes.extend_from_slice(b"+{\"path\":\"b\",\"re");
    std::fs::write(&file, bytes).expect("written");
    let trash = opened(&home).await;
    trash.add(&path, &thing("0123456780"), Why::Replaced).await.expect("it is noted");
    let all = ids(&trash, "", 10).await;
    assert_eq!(all.len(), 2);
    assert_eq!(trash.get(&all[0]).await.expect("there").rev, "0123456780");
    let day = all[0].split_once('/').expect("a day").0;
    for id in [format!("{day}/1"), format!("{day}/99999"), "../x/0".to_owned(), String::new()] {
        assert!(trash.get(&id).await.is_err(), "{id}");
    }
}

#[tokio::test]
async fn what_is_too_old_is_forgotten() {
    let home = tempfile::tempdir().expect("a directory");
    let old = home.path().join("trash/2001-02-03");
    std::fs::create_dir_all(home.path().join("trash")).expect("made");
    std::fs::write(&old, "+{}\n").expect("written");
    let trash = opened(&home).await;
    assert!(!old.exists());
    assert!(ids(&trash, "", 10).await.is_empty());
}
