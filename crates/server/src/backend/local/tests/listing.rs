//! Listings cost what their page costs, not what the bucket holds.

use rusqlite::Connection;

use super::*;
use crate::backend::local::request::ListQuery;

/// Enough keys that reading them all would show: a million in 400 directories, and 100 beside them.
fn fill(directory: &Path) {
    let index = Connection::open(directory.join("index.sqlite")).unwrap();
    let sql = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?2 - 1) \
               INSERT INTO object (bucket, key, size, etag, modified, storage_class, content) \
               SELECT 1, CAST(printf(?1, i / 2500, i % 2500) AS BLOB), 1, zeroblob(16), 0, 0, 0 FROM n";
    index.execute(sql, ("dir%04d/file%04d", 1_000_000)).unwrap();
    index.execute(sql, ("top%04d-%04d", 100)).unwrap();
}

#[tokio::test]
async fn a_page_costs_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    fill(directory.path());
    let query = |prefix: &str, delimiter: &str, after: &str, max_keys| ListQuery {
        prefix: prefix.to_owned(),
        delimiter: delimiter.to_owned(),
        after: after.to_owned(),
        max_keys,
    };
    let list = async |query| store.list_with_cost(&home, query).await.unwrap();

    // Every common prefix costs one seek and one row, not its 2,500 rows.
    let (page, cost) = list(query("", "/", "", 1000)).await;
    assert_eq!((page.common_prefixes.len(), page.objects.len(), page.next), (400, 100, None));
    assert!(cost.rows <= 501 && cost.seeks <= 402, "{cost:?}");

    let (page, cost) = list(query("", "/", "dir0100/", 10)).await;
    assert_eq!(page.common_prefixes.first().map(String::as_str), Some("dir0101/"));
    assert_eq!(page.next.as_deref(), Some("dir0110/"));
    assert!(cost.rows <= 11 && cost.seeks <= 11, "{cost:?}");

    // Without a delimiter: one seek, wherever the page begins, and one row more than it holds.
    let (page, cost) = list(query("", "", "dir0399/file1999", 1000)).await;
    assert_eq!(page.objects.len(), 600);
    assert_eq!((cost.seeks, cost.rows), (1, 600));
    let (page, cost) = list(query("", "", "dir0200/file0499", 1000)).await;
    assert_eq!((page.objects.len(), cost.seeks, cost.rows), (1000, 1, 1001));

    // A prefix in the middle, an empty page past the end, a page of nothing.
    let (page, cost) = list(query("dir0300/", "/", "dir0300/file1999", 700)).await;
    assert_eq!((page.objects.len(), page.next, cost.rows), (500, None, 500));
    assert_eq!(list(query("", "/", "zzz", 10)).await.1.rows, 0);
    assert_eq!(list(query("", "/", "", 0)).await, Default::default());
}
