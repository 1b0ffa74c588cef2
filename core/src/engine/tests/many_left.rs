//! Many values that earlier jobs left.

use super::*;

const PROVIDER: (&str, &str) = ("a", "key-a");

impl Fixture {
    /// Leaves so many values at a name.
    async fn leave_many(&self, at: &DnsName, zone: &str, count: usize) {
        for number in 0..count {
            let value = number.to_string();
            self.leave_at(at, zone, &value, None, PROVIDER).await;
        }
    }

    /// How many values are open in the ledger.
    async fn open(&self) -> usize {
        self.ledger.open_values().await.unwrap().len()
    }
}

#[tokio::test]
async fn of_many_values_that_stay_the_first_of_each_zone_are_kept_and_the_others_are_counted() {
    let fixture = Fixture::new();
    for (zone, count) in [(ZONE, 50), (OTHER_ZONE, 3)] {
        let at = name(zone).challenge_name().unwrap();
        fixture.leave_many(&at, zone, count).await;
    }
    // One engine has no provider, and the provider of the other one cannot read any zone.
    let unreadable = provider("a", "key-a", MemoryProvider::new([]));
    for engine in [fixture.engine([]), fixture.engine([unreadable])] {
        let left = reconcile(&engine).await.left;
        let kept = |zone| {
            let zone = name(zone);
            let first = left.first().iter();
            let kept = first.filter(|left| left.value.zone == zone).count();
            kept + left.others().get(&zone).copied().unwrap_or_default()
        };
        assert_eq!((kept(ZONE), kept(OTHER_ZONE), left.count()), (50, 3, 53));
        assert!(left.first().len() <= 23, "{}", left.first().len());
        assert!(left.others()[&name(ZONE)] >= 30, "{:?}", left.others());
        assert_eq!(left.others().get(&name(OTHER_ZONE)), None);
        assert_eq!(fixture.open().await, 53);
    }
}

#[tokio::test]
async fn more_values_than_are_removed_together_are_removed_in_one_run() {
    let fixture = Fixture::new();
    for number in 0..7 {
        let at = name(&format!("n{number}.{ZONE}"));
        fixture.leave_many(&at, ZONE, 5).await;
    }
    let engine = fixture.engine([fixture.provider("a", "key-a")]);
    let done = reconcile(&engine).await;
    assert_eq!((done.removed.len(), done.left.count()), (35, 0), "{done:?}");
    assert_eq!(fixture.open().await, 0);
    assert!(fixture.backend.records(&name(ZONE)).is_empty());
}

#[tokio::test]
async fn many_values_that_the_server_keeps_at_one_name_do_not_keep_those_at_others() {
    let fixture = Fixture::new();
    let bad = name(&format!("a.{ZONE}"));
    fixture.leave_many(&bad, ZONE, 50).await;
    for label in ["0", "b", "c"] {
        let at = name(&format!("{label}.{ZONE}"));
        fixture.leave_many(&at, ZONE, 1).await;
    }
    let refusing = Refusing {
        name: bad.clone(),
        backend: fixture.backend.clone(),
    };
    let engine = fixture.engine([provider("a", "key-a", refusing)]);
    let before = fixture.ledger.lines().count().await;
    let done = reconcile(&engine).await;
    assert_eq!((done.removed.len(), done.left.count()), (3, 50), "{done:?}");
    assert_eq!(fixture.open().await, 50);
    // Once it is seen that a part stays, the others are not tried.
    let lines: Vec<_> = fixture.ledger.lines().try_collect().await.unwrap();
    let lines = lines.iter().skip(before).map(|line| &line.entry);
    let tried: BTreeSet<_> = lines
        .filter(|entry| entry.name == bad)
        .map(|entry| &entry.value)
        .collect();
    assert!((1..=20).contains(&tried.len()), "{}", tried.len());
}

#[tokio::test]
async fn to_forget_a_certificate_touches_no_values_of_others() {
    let fixture = Fixture::new();
    let at = name(ZONE).challenge_name().unwrap();
    fixture.leave_many(&at, ZONE, 30).await;
    let engine = fixture.engine([fixture.provider("a", "key-a")]);
    let run = engine.begin().await.unwrap();
    for (id, removed) in [("another", 0), ("web", 30)] {
        let forgotten = run.forget_certificate(&id.parse().unwrap(), false).await;
        let forgotten = forgotten.unwrap();
        assert!(forgotten.left.is_empty(), "{forgotten:?}");
        assert_eq!(forgotten.removed.len(), removed);
    }
    run.end(&CancellationToken::new()).await;
    assert_eq!((fixture.open().await, fixture.values(ZONE).await), (0, 0));
}
