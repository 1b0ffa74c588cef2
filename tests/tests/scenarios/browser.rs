//! The status page in a real browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use acme_alias_tests::{Error, Result};
use serde_json::Value;

use crate::status_page::{bed, good_and_bad};

/// The widths in which the page is shown, in pixels.
const WIDTHS: [u16; 2] = [320, 1280];

/// Notes in the title what the browser made of the page in each frame: how wide it is, and whether its style holds.
const LOOK: &str = "onload = () => document.title = JSON.stringify([...document.querySelectorAll('iframe')].map(frame => {
  const page = frame.contentDocument, of = element => getComputedStyle(element);
  return {
    width: page.documentElement.scrollWidth,
    border: of(page.querySelector('header')).borderLeftWidth,
    paper: of(page.body).backgroundColor,
    headings: [...page.querySelectorAll('h2')].filter(one => one.offsetHeight > 0).length,
    bars: [...page.querySelectorAll('td svg rect.good')].filter(one => one.getBBox().width > 0).length,
  };
}))";

/// What the browser makes of a page in each width, and what it complains about.
fn look(folder: &Path, page: &str, is_dark: bool) -> Result<(Vec<Value>, String)> {
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    let frames =
        WIDTHS.map(|width| format!("<iframe width={width} height=900 srcdoc=\"{page}\"></iframe>"));
    let around = folder.join("around.html");
    fs::write(
        &around,
        format!("<!DOCTYPE html><script>{LOOK}</script>{}", frames.concat()),
    )?;
    let scheme = u8::from(!is_dark);
    let output = Command::new("chromium")
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("file://{}", around.display()))
        .output()?;
    let dom = String::from_utf8(output.stdout)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let console = said.lines().filter(|line| line.contains(":CONSOLE"));
    let console: Vec<_> = console.collect();
    let title = dom
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"));
    let (title, _) = title.ok_or_else(|| Error::new(format_args!("no title: {dom}{said}")))?;
    Ok((serde_json::from_str(title)?, console.join("\n")))
}

#[test]
fn the_page_fits_narrow_and_wide_windows_in_light_and_dark_and_its_policy_holds() -> Result {
    let bed = bed()?;
    let program = bed.program(good_and_bad(&bed))?;
    program.run(&["renew"])?;
    let page = program.run(&["report", "--html", "-"])?.stdout;
    let (light, console) = look(bed.folder(), &page, false)?;
    assert_eq!(console, "");
    let (dark, console) = look(bed.folder(), &page, true)?;
    assert_eq!(console, "");
    for (seen, width) in light.iter().zip(WIDTHS).chain(dark.iter().zip(WIDTHS)) {
        assert!(
            seen["width"].as_u64() <= Some(width.into()),
            "{width}: {seen}"
        );
        assert_eq!(seen["border"], "5px", "{seen}");
        assert_eq!(seen["headings"], 6, "{seen}");
        assert_eq!(seen["bars"], 1, "{seen}");
    }
    assert_ne!(light[0]["paper"], dark[0]["paper"]);
    // The policy allows no other style sheet, and nothing that text from others could add.
    let other = page.replace(
        "</style>",
        " </style><script>document.title = 'script'</script>",
    );
    let (seen, console) = look(bed.folder(), &other, false)?;
    assert_eq!(seen[0]["border"], "0px", "{seen:?}");
    assert!(console.contains("Content Security Policy"), "{console}");
    Ok(())
}
