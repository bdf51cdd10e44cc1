//! Numbers of variable length: LEB128, and zigzag for signed ones, as protobuf writes them.

use crate::codec::CodecError;

pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

pub(crate) fn get(input: &mut &[u8]) -> Result<u64, CodecError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first().ok_or(CodecError::Malformed)?;
        *input = rest;
        if shift == 63 && byte > 1 {
            return Err(CodecError::Malformed);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(CodecError::Malformed)
}

pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value << 1 ^ value >> 63).cast_unsigned());
}

pub(crate) fn get_signed(input: &mut &[u8]) -> Result<i64, CodecError> {
    let value = get(input)?;
    Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trip(value: u64, signed: i64) {
            let mut out = Vec::new();
            put(&mut out, value);
            put_signed(&mut out, signed);
            let mut input = out.as_slice();
            prop_assert_eq!(get(&mut input).unwrap(), value);
            prop_assert_eq!(get_signed(&mut input).unwrap(), signed);
            prop_assert!(input.is_empty());
        }
    }

    #[test]
    fn refuses_what_is_cut_or_too_long() {
        assert!(get(&mut &[0x80u8][..]).is_err());
        assert!(get(&mut &[0xffu8; 11][..]).is_err());
    }
}
