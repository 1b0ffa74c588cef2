//! Name servers of the alias zone that do not answer, or not always with the same data.

use acme_alias_tests::{Fault, Result, TestBed};

#[test]
fn measure() -> Result {
    for fault in [None, Some(Fault::Dead), Some(Fault::Silent)] {
        let mut builder = TestBed::builder().delegate(&["example.com"]);
        if let Some(fault) = fault {
            builder = builder.faulty_server(fault);
        }
        let bed = builder.start()?;
        let check = bed.run(&["check", "example.com"])?;
        println!("{fault:?} check {:?} {}", check.usage.wall, check.stderr);
        let issue = bed.run(&["issue", "example.com"])?;
        println!("{fault:?} issue {:?}\n{}", issue.usage.wall, issue.stderr);
    }
    Ok(())
}
