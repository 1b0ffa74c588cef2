//! `cargo xtask bench`: examples that measure, one after the other.

use crate::setup::{self, SERVERS};
use crate::step::{Failure, cargo};

/// An example that measures.
struct Benchmark {
    package: &'static str,
    example: &'static str,
    /// Whether the example itself is measured, so that it must be optimised. Others run the program,
    /// which is.
    is_measured: bool,
    /// Whether it takes the number of runs as its argument.
    takes_runs: bool,
}

const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        package: "acme-alias-tests",
        example: "bench",
        is_measured: false,
        takes_runs: true,
    },
    Benchmark {
        package: "acme-alias-tests",
        example: "check_rate",
        is_measured: false,
        takes_runs: true,
    },
    Benchmark {
        package: "acme-alias-tests",
        example: "many",
        is_measured: false,
        takes_runs: false,
    },
    Benchmark {
        package: "acme-alias-core",
        example: "ledger",
        is_measured: true,
        takes_runs: false,
    },
    Benchmark {
        package: "acme-alias-core",
        example: "store",
        is_measured: true,
        takes_runs: false,
    },
];

pub(crate) fn run(runs: u32) -> Result<(), Failure> {
    setup::run(SERVERS)?;
    setup::certbot()?;
    cargo("build --package acme-alias --release")?;
    for benchmark in BENCHMARKS {
        cargo(&benchmark.arguments(runs))?;
    }
    Ok(())
}

impl Benchmark {
    /// The arguments of cargo.
    fn arguments(&self, runs: u32) -> String {
        let Benchmark {
            package, example, ..
        } = self;
        let mut arguments = format!("run --package {package} --example {example}");
        if self.is_measured {
            arguments.push_str(" --release");
        }
        if self.takes_runs {
            arguments.push_str(&format!(" -- {runs}"));
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_what_the_benchmark_needs() {
        let benchmark = Benchmark {
            package: "p",
            example: "e",
            is_measured: true,
            takes_runs: true,
        };
        assert_eq!(
            benchmark.arguments(3),
            "run --package p --example e --release -- 3"
        );
        let benchmark = Benchmark {
            is_measured: false,
            takes_runs: false,
            ..benchmark
        };
        assert_eq!(benchmark.arguments(3), "run --package p --example e");
    }
}
