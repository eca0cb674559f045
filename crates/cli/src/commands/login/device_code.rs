//! A sign-in on another device, as the person sees it: the address, the code, and a QR code for a telephone.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use wigeon_client::sign_in::Invitation;

use crate::output::printable;
use crate::wording::duration;

/// The whole message. The QR code is there where a person looks at a terminal that is wide enough for it.
pub(super) fn message(invitation: &Invitation, with_picture: bool) -> String {
    let Invitation { user_code, verification_uri, verification_uri_complete, expires_in } = invitation;
    let mut text = format!(
        "To sign in, open this address on any device:\n\n  {verification_uri}\n\nand enter the code:  {}\n",
        printable(user_code)
    );
    if let Some(complete) = verification_uri_complete {
        text.push_str(&format!("\nWith the code already in it:\n\n  {complete}\n"));
    }
    if with_picture {
        let address = verification_uri_complete.as_ref().unwrap_or(verification_uri);
        text.extend(picture(address.as_str()).map(|picture| format!("\n{picture}\n")));
    }
    let seconds = i64::try_from(expires_in.as_secs()).unwrap_or(i64::MAX);
    let good_for = duration(wigeon_core::time::SignedDuration::from_secs(seconds));
    text.push_str(&format!(
        "\nThe code is good for {good_for}. Only enter it if you have just asked for it here."
    ));
    text
}

/// A QR code of half blocks. Light modules are the ink: terminals are dark more often than not, and readers take a
/// code that is inverted, while one without its quiet zone they do not. `None` where the text is too long for one.
fn picture(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let picture = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(true)
        .build();
    Some(picture)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn invitation(complete: bool) -> Invitation {
        let uri = "https://idp.example/device";
        Invitation {
            user_code: "WDJB-\u{1b}[2JMJHT".to_owned(),
            verification_uri: uri.parse().unwrap(),
            verification_uri_complete: complete
                .then(|| format!("{uri}?user_code=WDJB-MJHT").parse().unwrap()),
            expires_in: Duration::from_secs(600),
        }
    }

    #[test]
    fn the_code_and_the_address_are_shown_and_cannot_drive_the_terminal() {
        let text = message(&invitation(true), false);
        assert!(text.contains("WDJB-\\u{1b}[2JMJHT") && !text.contains('\u{1b}'), "{text}");
        assert!(text.contains("https://idp.example/device?user_code=WDJB-MJHT") && text.contains("10 min"));
    }

    #[test]
    fn the_picture_is_square_and_framed() {
        let text = picture("https://idp.example/device?user_code=WDJB-MJHT").unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width));
        assert!((width / 2..=width / 2 + 1).contains(&lines.len()), "{width} x {}", lines.len());
        assert!(lines[0].chars().all(|c| c == '█'), "the quiet zone: {}", lines[0]);
        assert!(picture(&"x".repeat(5000)).is_none());
    }
}
