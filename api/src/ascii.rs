//! Quoted text in ASCII alone: what strangers wrote can neither move a cursor, nor turn a line around,
//! nor hide in it, whatever shows the document.

use std::fmt::Write as _;

/// A JSON document with all that is no printable ASCII written as `\uXXXX`, in pairs beyond U+FFFF.
pub fn json(document: &str) -> String {
    escape(document, |out, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// YAML that quotes its texts as JSON does, with all that is no printable ASCII written as `\uXXXX`,
/// beyond U+FFFF as `\UXXXXXXXX`: readers of YAML refuse pairs.
pub fn yaml(document: &str) -> String {
    escape(document, |out, c| {
        let code = u32::from(c);
        let _ =
            if code > 0xffff { write!(out, "\\U{code:08x}") } else { write!(out, "\\u{code:04x}") };
    })
}

fn escape(document: &str, write: impl Fn(&mut String, char)) -> String {
    let mut out = String::with_capacity(document.len());
    for c in document.chars() {
        if matches!(c, ' '..='~' | '\n') { out.push(c) } else { write(&mut out, c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "a\"\\\u{1b}[2J\u{7f}\u{85}\u{9b}31m\u{200b}\u{202e}gnp.\u{2066}é日\u{feff}😀\u{e0041}";

    #[test]
    fn json_reads_the_same() {
        let text = json(&serde_json::to_string(HOSTILE).unwrap());
        assert!(text.bytes().all(|b| matches!(b, b' '..=b'~')), "{text}");
        assert!(text.contains(r"\u007f\u0085\u009b31m\u200b\u202egnp."), "{text}");
        assert!(text.contains(r"\ud83d\ude00"), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), HOSTILE);
    }

    #[test]
    fn yaml_has_no_pairs() {
        let text = yaml(&serde_json::to_string(HOSTILE).unwrap());
        assert!(text.bytes().all(|b| matches!(b, b' '..=b'~')), "{text}");
        assert!(text.ends_with(r#"\u00e9\u65e5\ufeff\U0001f600\U000e0041""#), "{text}");
    }
}
