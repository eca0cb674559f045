//! aws-chunked bodies: however they are cut, the outcome is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wigeon_core::sigv4::chunked::{ChunkError, Decoder};
use wigeon_core::sigv4::verify::Payload;

fn decode(body: &[u8], step: usize) -> Result<(Vec<u8>, Vec<(String, String)>), ChunkError> {
    let mut decoder = Decoder::new(&Payload::UnsignedChunksTrailer, None, 5, Some("x-amz-checksum-crc32"))?;
    let mut payload = Vec::new();
    for bytes in body.chunks(step.max(1)) {
        decoder.push(bytes);
        while let Some(piece) = decoder.next_piece()? {
            payload.extend_from_slice(&piece);
        }
    }
    Ok((payload, decoder.finish()?))
}

fuzz_target!(|data: &[u8]| {
    if let Ok((payload, _)) = decode(data, data.len()) {
        assert_eq!(payload.len(), 5);
        assert_eq!(decode(data, 1).map(|decoded| decoded.0), Ok(payload));
    }
});
