//! Many changes at once share their flushes and are all answered rightly.

use std::sync::Arc;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_at_once_are_all_made() {
    let home = Arc::new(home().await);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..600 {
        let home = Arc::clone(&home);
        tasks.spawn(async move {
            let name = format!("d{}/f{number}", number % 7);
            let bytes = noise(number * 10);
            let placed = home.put(&name, &bytes, None).await.expect("placed");
            match number % 4 {
                0 => home.local.remove(&path(&name), placed.tag).await.expect("removed"),
                1 => {
                    let to = path(&format!("moved/{number}"));
                    home.local.rename(&path(&name), placed.tag, &to, None).await.expect("renamed");
                }
                2 => {
                    home.put(&name, b"again", Some(placed.tag)).await.expect("replaced");
                }
                _ => {
                    let refused = home.put(&name, b"again", None).await;
                    assert_eq!(kind_of(refused), FaultKind::Changed);
                }
            }
        });
    }
    tasks.join_all().await;
    for number in 0..600 {
        let name = format!("d{}/f{number}", number % 7);
        match number % 4 {
            0 => assert!(!home.at(&name).exists()),
            1 => assert_eq!(home.bytes(&format!("moved/{number}")), noise(number * 10)),
            2 => assert_eq!(home.bytes(&name), b"again"),
            _ => assert_eq!(home.bytes(&name), noise(number * 10)),
        }
    }
    assert_eq!(home.trash().len(), 300);
    home.assert_clean();
}

#[tokio::test]
async fn a_change_that_nobody_waits_for_is_made_all_the_same() {
    let home = home().await;
    home.write("file", b"x");
    let tag = home.tag("file").await;
    {
        let (gone, name) = (path("file"), path("file"));
        let _ = tokio::time::timeout(Duration::ZERO, home.local.remove(&gone, tag)).await;
        // The next change waits its turn behind it.
        let _ = home.local.make_directory(&path("d"), None).await;
        assert_eq!(home.local.look(&name).await, Ok(None));
    }
    assert_eq!(home.trash().len(), 1);
}
