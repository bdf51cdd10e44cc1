//! Numbers in tar headers: octal text, or base-256 for what does not fit.

/// A field that is not one number that all readers agree on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotANumber;

/// Reads a numeric field. An empty one is 0, as Go's archive/tar and GNU tar have it; negative ones are refused.
pub(crate) fn field(bytes: &[u8]) -> Result<u64, NotANumber> {
    match bytes.split_first() {
        Some((0x80, rest)) => base256(rest),
        Some((first, _)) if first & 0x80 != 0 => Err(NotANumber),
        _ => octal(bytes),
    }
}

fn base256(bytes: &[u8]) -> Result<u64, NotANumber> {
    let value = bytes.iter().try_fold(0_u64, |value, &byte| {
        value.checked_mul(256).and_then(|v| v.checked_add(u64::from(byte))).ok_or(NotANumber)
    })?;
    // Go's are of 63 bits.
    if i64::try_from(value).is_ok() { Ok(value) } else { Err(NotANumber) }
}

/// Leading spaces, octal digits, then only NULs and spaces: a digit after a NUL is read by some and not by others.
fn octal(bytes: &[u8]) -> Result<u64, NotANumber> {
    let leading = bytes.iter().take_while(|&&byte| byte == b' ').count();
    let text = bytes.get(leading..).unwrap_or(&[]);
    let digits = text.iter().take_while(|byte| (b'0'..=b'7').contains(byte)).count();
    if text.iter().skip(digits).any(|&byte| byte != 0 && byte != b' ') {
        return Err(NotANumber);
    }
    text.iter().take(digits).try_fold(0_u64, |value, &byte| {
        let digit = u64::from(byte.saturating_sub(b'0'));
        value.checked_mul(8).and_then(|v| v.checked_add(digit)).ok_or(NotANumber)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let cases: [(&[u8], Result<u64, NotANumber>); 12] = [
            (b"00000000012\0", Ok(10)),
            (b"      12 \0\0\0", Ok(10)),
            (b"77777777777\0", Ok(0o77777777777)),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0", Ok(0)),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\0", Ok(256)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", Err(NotANumber)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", Err(NotANumber)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Err(NotANumber)),
            (b"12\x0034\0\0\0\0\0\0\0", Err(NotANumber)),
            (b"00000000019\0", Err(NotANumber)),
            (b"-0000000001\0", Err(NotANumber)),
            (b"", Ok(0)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(field(bytes), expected, "{bytes:?}");
        }
    }
}
