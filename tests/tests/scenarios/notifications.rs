//! Somebody is notified of certificates that fail or end soon.

use std::fs;
use std::path::Path;

use acme_alias_tests::{Program, Result, TestBed};

use crate::deploy::{lines, with};

/// The lines that a notification had on its standard input, and whether it was called again.
fn notified(program: &Program, arguments: &[&str], file: &Path) -> Result<Vec<String>> {
    let _ = fs::remove_file(file);
    program.run(arguments)?;
    Ok(lines(file))
}

#[test]
fn somebody_is_notified_once_of_failures_and_of_the_end() -> Result {
    // The second one has no CNAME.
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let file = bed.folder().join("notified");
    let with_notify = |lines: &str| {
        let mut settings = bed.settings().certificates(&["example.com", "example.org"]);
        settings.more.push_str(&format!(
            "[notify]\n{lines}\ncommand = ['sh', '-c', '''
             cat >> {0}; echo $ACME_ALIAS_HOOK_CERTIFICATES >> {0}; test \"$ACME_ALIAS_HOOK_MESSAGE\"''']\n",
            file.display()
        ));
        bed.program(settings)
    };
    let program = with_notify("failures = 2")?;
    let again = ["renew", "example-org"];
    assert_eq!(notified(&program, &["renew"], &file)?, [""; 0]);
    let [line, ids] = notified(&program, &again, &file)?.try_into().unwrap();
    assert!(
        line.starts_with("example-org: it could not be obtained, 2 times"),
        "{line}"
    );
    assert_eq!(ids, "example-org");
    assert_eq!(notified(&program, &again, &file)?, [""; 0]);

    // It is valid for less than ten thousand days.
    let program = with_notify("failures = 2\ndays = 10000")?;
    let [line, ids] = notified(&program, &["renew"], &file)?.try_into().unwrap();
    assert!(
        line.starts_with("example-com: the current certificate is valid until"),
        "{line}"
    );
    assert_eq!(ids, "example-com");
    assert_eq!(notified(&program, &["renew"], &file)?, [""; 0]);
    // Another version is another state.
    let renewed = notified(&program, &["renew", "--force", "example-com"], &file)?;
    assert_eq!(renewed.len(), 2, "{renewed:?}");
    Ok(())
}

#[test]
fn somebody_is_notified_once_of_a_deployment_that_fails() -> Result {
    let bed = TestBed::start()?;
    let (file, flag) = (bed.folder().join("notified"), bed.folder().join("flag"));
    let mut settings = with(
        &bed,
        &format!(
            "[[certificates.web.deploy]]\nkind = 'command'\ncommand = ['test', '-e', '{}']\n",
            flag.display()
        ),
    );
    settings.more.push_str(&format!(
        "[notify]\nfailures = 2\ncommand = ['sh', '-c', 'cat >> {}']\n",
        file.display()
    ));
    let program = bed.program(settings)?;
    let again = ["renew", "web"];
    assert_eq!(notified(&program, &["renew"], &file)?, [""; 0]);
    let [line] = notified(&program, &again, &file)?.try_into().unwrap();
    assert!(
        line.starts_with("web: it was obtained and could not be deployed: `test` failed"),
        "{line}"
    );
    assert_eq!(notified(&program, &again, &file)?, [""; 0]);
    fs::write(&flag, "")?;
    assert_eq!(notified(&program, &again, &file)?, [""; 0]);
    program.run(&["list", "--check"])?.assert_success();
    Ok(())
}

#[test]
fn a_notification_that_fails_is_repeated() -> Result {
    let bed = TestBed::start()?;
    let file = bed.folder().join("notified");
    let mut settings = with(&bed, "");
    settings.more.push_str(&format!(
        "[notify]\ndays = 10000\ncommand = ['sh', '-c', '''echo >> {0}; test $(wc -l < {0}) = 2''']\n",
        file.display()
    ));
    let program = bed.program(settings)?;
    let outcome = program.run(&["renew"])?;
    outcome.assert_success();
    outcome.assert_said(&["the notification failed"]);
    for _ in 0..2 {
        let outcome = program.run(&["renew"])?;
        assert!(!outcome.stderr.contains("notification"), "{outcome}");
    }
    assert_eq!(lines(&file).len(), 2);
    Ok(())
}
