//! Tables that are written in another form.

use super::*;

#[test]
fn a_table_in_another_form_is_a_mistake_at_its_place() {
    for (text, at, words) in [
        (
            "[alias-zones.'a.example.net']\nprovider = 'x'",
            "1:",
            "`[[alias-zones]]`",
        ),
        ("[dns]\nzones = 'example.com'", "2:", "`[[dns.zones]]`"),
        ("[deploy]\nkind = 'files'", "1:", "`[[deploy]]`"),
        (
            "[[certificates]]\ndomains = ['example.com']",
            "1:",
            "`[certificates.NAME]`",
        ),
        ("[[providers]]\nkind = 'exec'", "1:", "`[providers.NAME]`"),
        ("acme = 'letsencrypt'", "1:", "`[acme]`"),
    ] {
        assert_mistake(&format!("{text}\n"), at, words);
    }
}
