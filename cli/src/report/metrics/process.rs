//! The metrics of the process, of zones and of CAs.

use super::super::delegations::Delegations;
use super::super::snapshot::{Budget, Snapshot};
use super::super::status::{LastRun, Phase, Status};
use super::metric::{Kind, Metric, Sample, count, seconds};

pub(super) fn metrics(snapshot: &Snapshot) -> Vec<Metric> {
    let version = Sample {
        labels: vec![("version", env!("CARGO_PKG_VERSION").to_owned())],
        value: 1.0,
    };
    let mut metrics = vec![
        Metric::family("build_info", "The version of the program", [version]),
        Metric::gauge(
            "updated_timestamp_seconds",
            "When these metrics were made",
            seconds(snapshot.at),
        ),
        Metric::gauge(
            "open_txt_values",
            "TXT values that may be in a zone, those of work that is under way included",
            count(snapshot.open_values),
        ),
        Metric {
            name: "ledger_lines",
            help: "Lines of the ledger",
            kind: Kind::Counter(snapshot.ledger_lines),
        },
    ];
    metrics.extend(of_cas(&snapshot.budgets));
    if let Some(status) = &snapshot.status {
        metrics.extend(of_process(snapshot, status));
        metrics.extend(
            status
                .delegations
                .iter()
                .flat_map(|all| of_delegations(all)),
        );
    }
    metrics
}

fn of_delegations(delegations: &Delegations) -> [Metric; 2] {
    let verdicts = [
        ("good", delegations.good),
        ("warning", delegations.warnings),
        ("error", delegations.errors),
    ];
    let verdicts = verdicts.map(|(verdict, names)| Sample {
        labels: vec![("verdict", verdict.to_owned())],
        value: count(names),
    });
    let help = "Challenge names by the worst that was found on their way to the alias zone";
    [
        Metric::family("delegations", help, verdicts),
        Metric::gauge(
            "delegations_checked_timestamp_seconds",
            "When the delegations were checked",
            seconds(delegations.at),
        ),
    ]
}

fn of_process(snapshot: &Snapshot, status: &Status) -> Vec<Metric> {
    let last = status.last.as_ref();
    let of_last = |value: fn(&LastRun) -> f64| last.map(value);
    let is_daemon = status.started.is_some();
    let next = match status.phase {
        Phase::Waiting(until) => Some(seconds(until)),
        Phase::Running(_) | Phase::Ended => None,
    };
    let healthy = f64::from(u8::from(status.health(snapshot.at).is_ok()));
    vec![
        Metric::gauge(
            "healthy",
            "Whether `run` renews certificates when they are due, as `/healthz` says",
            is_daemon.then_some(healthy),
        ),
        Metric::gauge(
            "started_timestamp_seconds",
            "When `run` started",
            status.started.map(seconds),
        ),
        Metric::gauge(
            "last_run_timestamp_seconds",
            "When the last run ended",
            of_last(|last| seconds(last.ended)),
        ),
        Metric::gauge(
            "last_run_duration_seconds",
            "How long the last run took",
            of_last(|last| last.ended.duration_since(last.began).as_secs_f64()),
        ),
        Metric::gauge(
            "last_run_success",
            "Whether the last run began, and everything that it tried succeeded",
            of_last(|last| f64::from(u8::from(last.error.is_none() && last.failed == 0))),
        ),
        Metric::gauge(
            "last_run_failures",
            "Certificates that the last run could not obtain, deploy or read",
            of_last(|last| count(last.failed)),
        ),
        Metric::gauge(
            "next_run_timestamp_seconds",
            "When the next run of `run` begins",
            next,
        ),
        Metric {
            name: "runs",
            help: "Runs that have ended since the process started",
            kind: Kind::Counter(status.runs),
        },
    ]
}

fn of_cas(budgets: &[Budget]) -> Vec<Metric> {
    let of = |name, help, value: &dyn Fn(&Budget) -> Option<f64>| {
        let samples = budgets.iter().filter_map(|budget| {
            Some(Sample {
                labels: vec![("directory", budget.orders.directory.clone())],
                value: value(budget)?,
            })
        });
        Metric::family(name, help, samples)
    };
    vec![
        of(
            "orders_limit",
            "New orders that the CA allows the account, by the settings",
            &|budget| budget.orders.rate.map(|rate| f64::from(rate.count)),
        ),
        of(
            "orders_limit_window_seconds",
            "The time in which the CA counts orders",
            &|budget| budget.orders.rate.map(|rate| rate.per.as_secs_f64()),
        ),
        of("orders_left", "New orders that are left now", &|budget| {
            budget.orders.left.map(f64::from)
        }),
        of(
            "orders_counted",
            "New orders that were counted in that time",
            &|budget| budget.orders.rate.map(|_| f64::from(budget.orders.used)),
        ),
        of(
            "orders_refused_until_timestamp_seconds",
            "The CA takes no orders of the account before",
            &|budget| budget.orders.refused_until.map(seconds),
        ),
    ]
}
