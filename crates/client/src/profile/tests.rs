//! Profiles as they are met: the files of a corpus where there is one, every tolerance and refusal, both
//! notations and back.

use std::path::PathBuf;

use plist::{Dictionary, Value};
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::profile::document::text;

fn plist(body: &str) -> String {
    format!(
        "<plist version=\"1.0\"><dict>\n<key>Protocol</key><string>s3</string>\n<key>Vendor</key><string>v</string>\n{body}</dict></plist>"
    )
}

fn parse(text: &str) -> Result<Document, ProfileError> {
    Document::parse(text.as_bytes(), "file.cyberduckprofile")
}

fn profile(text: &str) -> Profile {
    match parse(text).unwrap() {
        Document::Profile(profile, _) => profile,
        Document::Bookmark(_) => panic!("a bookmark"),
    }
}

fn settings(body: &str) -> Settings {
    settings_with(body, Bookmark::default(), Configuration::default())
}

fn settings_with(body: &str, bookmark: Bookmark, configuration: Configuration) -> Settings {
    let stored = Stored { name: "lab".to_owned(), profile: profile(&plist(body)), bookmark };
    Settings::new(stored, configuration)
}

fn entry(key: &str, value: &str) -> String {
    format!("<key>{key}</key>{value}\n")
}

fn string(key: &str, value: &str) -> String {
    entry(key, &format!("<string>{value}</string>"))
}

fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let shared = std::env::var_os("WIGEON_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(shared.join("corpus/profiles")) else { return Vec::new() };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn the_corpus_loads_and_converts_both_ways() {
    for (path, bytes) in corpus() {
        let document = Document::parse(&bytes, &path.display().to_string()).unwrap();
        let Document::Profile(profile, _) = &document else { panic!("{}", path.display()) };
        assert_eq!(Document::parse(document.to_toml().as_bytes(), "x.toml").as_ref(), Ok(&document));
        let xml = profile.to_property_list().unwrap();
        assert_eq!(parse(&xml).as_ref(), Ok(&document), "{}", path.display());
        let stored = Stored { name: "x".to_owned(), profile: profile.clone(), bookmark: Bookmark::default() };
        let settings = Settings::new(stored, Configuration::default());
        assert!(settings.shown().len() >= 5);
        assert!(check(&settings).iter().all(|finding| !finding.text.is_empty()));
    }
}

#[test]
fn every_profile_of_the_corpus_is_usable_or_explained() {
    let (mut usable, mut explained) = (0, 0);
    let corpus = corpus();
    for (path, bytes) in &corpus {
        let name = path.display().to_string();
        let Ok(Document::Profile(profile, _)) = Document::parse(bytes, &name) else { panic!("{name}") };
        let stored = Stored { name: "x".to_owned(), profile, bookmark: Bookmark::default() };
        let settings = Settings::new(stored, Configuration::default());
        let errors: Vec<_> =
            check(&settings).into_iter().filter(|finding| finding.severity == Severity::Error).collect();
        match errors.first() {
            None => {
                // What nobody finds fault with has all that a sign-in needs.
                settings.oauth().unwrap();
                settings.sts().unwrap();
                settings.token_source().unwrap();
                settings.key_source().unwrap();
                settings.identity_center().unwrap();
                usable += 1;
            }
            Some(error) => {
                assert!(!error.fix.is_empty(), "{name}: {}", error.text);
                explained += 1;
            }
        }
    }
    assert_eq!(usable + explained, corpus.len());
    assert_eq!(explained, 0, "each of the corpus's profiles can be used");
}

#[test]
fn ways_without_a_provider() {
    let flow = |body: &str| settings(body).flow().value;
    let properties = |text: &str| entry("Properties", &format!("<array><string>{text}</string></array>"));
    assert_eq!(flow(&properties("wigeon.token=github-actions")), Flow::Workload);
    assert_eq!(flow(&properties("web_identity_token_file=/t")), Flow::Workload);
    assert_eq!(flow(&properties("credential_process=print keys")), Flow::AccessKeys);
    assert_eq!(flow(&properties("sso_start_url=https://x.awsapps.com/start")), Flow::IdentityCenter);
    let metadata = "http://169.254.169.254/latest/meta-data/iam/security-credentials/s3access";
    let context = settings(&string("Context", metadata));
    assert_eq!(context.key_source().unwrap().value, KeySource::Instance(Some(metadata.parse().unwrap())));
    let wrong = settings(&properties("wigeon.token=nowhere")).token_source().unwrap_err();
    assert!(wrong.to_string().contains("`nowhere`"), "{wrong}");
    let chain = settings(&properties("wigeon.role_chain=arn:aws:iam::1:role/a, arn:aws:iam::1:role/b"));
    assert_eq!(chain.sts().unwrap().chain.len(), 2);
    assert!(settings(&properties("wigeon.role_chain=a")).sts().is_err());
    let amazon = settings(&properties("wigeon.provider_id=www.amazon.com")).oauth().unwrap();
    assert_eq!(amazon.exchanged, Exchanged::AccessToken);
    assert!(!amazon.scopes.contains(&"openid".to_owned()));
}

#[test]
fn tolerances() {
    let no_declaration = profile("<plist version=\"1.1\"><!-- a --><dict><!-- b --><key>Protocol</key><string>s3</string><key>Vendor</key><string>v</string>
        <key>Default Port</key><integer> 9000 </integer>
        <key>Scopes</key><array><!-- c --><string>openid</string><!-- <string>x</string> --></array>
        <key>Region</key><string/>
        <key>Help</key><string><![CDATA[a < b]]> &amp; c
          d</string>
        <key>Disk</key><data>aGVs
          bG8=</data></dict></plist>");
    assert_eq!(text(no_declaration.dictionary.get("Default Port")).as_deref(), Some("9000"));
    assert_eq!(text(no_declaration.dictionary.get("Help")).unwrap().lines().next(), Some("a < b & c"));
    assert_eq!(no_declaration.dictionary.get("Disk"), Some(&Value::Data(b"hello".to_vec())));
    let mut binary = Vec::new();
    Value::Dictionary(no_declaration.dictionary.clone()).to_writer_binary(&mut binary).unwrap();
    assert!(
        matches!(Document::parse(&binary, "x"), Ok(Document::Profile(profile, _)) if profile == no_declaration)
    );
    let marked = format!("\u{feff}{}", plist(""));
    assert!(parse(&marked).is_ok());
    assert!(Document::parse(plist("").as_bytes(), "no-extension").is_ok());
}

#[rstest]
#[case::empty("", 1, "neither a property list")]
#[case::text("hello", 1, "neither a property list")]
#[case::html("<html>\n<body>x</body></html>", 1, "`<html>`")]
#[case::no_vendor(
    "<plist><dict>\n<key>Protocol</key><string>s3</string></dict></plist>",
    1,
    "needs `Vendor`"
)]
#[case::no_protocol(
    "\n<plist>\n<dict><key>Vendor</key><string>s3</string></dict></plist>",
    3,
    "needs `Protocol`"
)]
#[case::blank_vendor(
    "<plist><dict>\n<key>Protocol</key><string>s3</string>\n<key>Vendor</key><string> </string></dict></plist>",
    3,
    "needs `Vendor`"
)]
#[case::unclosed("<plist>\n<dict>\n<key>Protocol</key>", 3, "has no value")]
#[case::two_keys(
    "<plist><dict>\n<key>Protocol</key><key>Vendor</key></dict></plist>",
    2,
    "`Protocol` has no value"
)]
#[case::wrong_end("<plist><dict>\n<key>Protocol</kee></dict></plist>", 2, "not well-formed")]
#[case::unknown_element(
    "<plist><dict><key>a</key>\n<text>s3</text></dict></plist>",
    2,
    "no element `<text>`"
)]
#[case::entity(
    "<!DOCTYPE x [<!ENTITY a \"b\">]><plist><dict><key>a</key><string>&a;</string></dict></plist>",
    1,
    "`&a;` is unknown"
)]
#[case::bare_text("<plist><dict>\nhello</dict></plist>", 2, "outside of an element")]
fn refusals(#[case] text: &str, #[case] line: usize, #[case] problem: &str) {
    let error = parse(text).unwrap_err();
    assert!(error.problem.contains(problem), "{error}");
    assert_eq!(error.line, line, "{error}");
    assert_eq!(error.file, "file.cyberduckprofile");
}

#[test]
fn a_value_of_a_wrong_type_is_refused_at_its_line() {
    let error = parse(&plist(&entry("Scopes", "<dict/>"))).unwrap_err();
    assert_eq!((error.line, error.problem.as_str()), (4, "the value of `Scopes` must be a list of strings"));
    for (key, value) in
        [("OAuth PKCE", "<string>perhaps</string>"), ("Region", "<array/>"), ("Properties", "<true/>")]
    {
        assert!(parse(&plist(&entry(key, value))).unwrap_err().problem.contains(key));
    }
}

#[test]
fn nesting_is_limited() {
    let deep = format!("{}{}", "<array>".repeat(100_000), "</array>".repeat(100_000));
    assert!(parse(&plist(&entry("x", &deep))).unwrap_err().problem.contains("too deeply"));
}

#[test]
fn unknown_keys_are_kept_and_listed() {
    let profile = profile(&plist(&format!(
        "{}{}",
        string("Favorite Color", "blue"),
        entry("Properties", "<dict><key>role_arn</key><string/><key>x.y</key><string>1</string></dict>")
    )));
    let unknown: Vec<_> = profile.unknown_keys().into_iter().map(|key| (key.place, key.key)).collect();
    assert_eq!(unknown, [("profile", "Favorite Color".to_owned()), ("properties", "x.y".to_owned())]);
}

#[test]
fn both_generations_of_properties() {
    for properties in [
        "<dict><key>s3.bucket.virtualhost.disable</key><true/><key>role_arn</key><string>arn:aws:iam::1:role/x</string></dict>",
        "<array><string>s3.bucket.virtualhost.disable=true</string><string>role_arn=arn:aws:iam::1:role/x</string></array>",
    ] {
        let settings = settings(&entry("Properties", properties));
        assert_eq!(settings.path_style().unwrap(), Valued { value: true, origin: Origin::Profile });
        assert!(
            matches!(settings.role().unwrap().value, Role::Given(arn) if arn.as_str() == "arn:aws:iam::1:role/x")
        );
    }
}

#[rstest]
#[case::absent("", Role::None)]
#[case::blank("<key>Properties</key><dict><key>role_arn</key><string/></dict>", Role::Ask)]
#[case::blank_line("<key>Properties</key><array><string>s3.assumerole.rolearn=</string></array>", Role::Ask)]
#[case::configurable("<key>Role Configurable</key><true/>", Role::Ask)]
#[case::not_configurable("<key>Role Configurable</key><false/>", Role::None)]
fn whether_a_role_is_asked_for(#[case] body: &str, #[case] expected: Role) {
    assert_eq!(settings(body).role().unwrap().value, expected);
}

#[test]
fn a_saved_answer_wins() {
    let mut bookmark = Bookmark::default();
    bookmark.answer("role_arn", "arn:aws:iam::2:role/saved");
    bookmark.answer("OAuth Client ID", "saved");
    let body = format!(
        "{}{}",
        string("OAuth Client ID", "profile"),
        entry("Properties", "<dict><key>role_arn</key><string>arn:aws:iam::1:role/x</string></dict>")
    );
    let settings = settings_with(&body, bookmark, Configuration::default());
    assert_eq!(settings.role().unwrap().origin, Origin::Bookmark);
    assert_eq!(settings.oauth().unwrap().client_id, ClientCredential::Given("saved".to_owned()));
}

#[test]
fn precedence_and_origin() {
    let Document::Bookmark(bookmark) = parse("<plist><dict><key>Provider</key><string>v</string><key>Hostname</key><string>b.example</string><key>Port</key><string>444</string></dict></plist>").unwrap()
    else {
        panic!("a profile")
    };
    let configuration = Document::parse(
        b"protocol='s3'\nvendor='x'\nregion='from-configuration'\ndefault_hostname='c.example'",
        "x.toml",
    )
    .unwrap();
    let Document::Profile(defaults, _) = configuration else { panic!("a bookmark") };
    let configuration = Configuration { defaults: defaults.dictionary, ..Configuration::default() };
    let body = string("Default Hostname", "p.example");
    let settings_of = |bookmark| settings_with(&body, bookmark, configuration.clone());
    let endpoint = settings_of(bookmark).endpoint().unwrap();
    assert_eq!((endpoint.value.as_str(), endpoint.origin), ("https://b.example:444/", Origin::Bookmark));
    let settings = settings_of(Bookmark::default());
    assert_eq!(settings.endpoint().unwrap().origin, Origin::Profile);
    assert_eq!(
        settings.region(),
        Valued { value: "from-configuration".to_owned(), origin: Origin::Configuration }
    );
    assert_eq!(settings.sts_endpoint().unwrap().origin, Origin::Default);
}

#[test]
fn client_id_and_secret_omitted_or_empty() {
    let omitted = settings("").oauth().unwrap();
    assert_eq!((omitted.client_id, omitted.client_secret), (ClientCredential::Ask, ClientCredential::Ask));
    let empty =
        format!("{}{}", entry("OAuth Client ID", "<string/>"), entry("OAuth Client Secret", "<string/>"));
    let empty = settings(&empty).oauth().unwrap();
    assert_eq!((empty.client_id, empty.client_secret), (ClientCredential::None, ClientCredential::None));
}

#[rstest]
#[case::nothing("", Flow::AccessKeys)]
#[case::default("<key>Authorization</key><string>AWS4HMACSHA256</string>", Flow::AccessKeys)]
#[case::unknown("<key>Authorization</key><string>Magic</string>", Flow::AccessKeys)]
#[case::code("<key>Authorization</key><string>AuthorizationCode</string>", Flow::AuthorizationCode)]
#[case::password("<key>Authorization</key><string>PasswordGrant</string>", Flow::PasswordGrant)]
#[case::urls_only("<key>OAuth Token Url</key><string>/token</string>", Flow::AuthorizationCode)]
#[case::issuer_only(
    "<key>Properties</key><array><string>wigeon.issuer=https://i.example</string></array>",
    Flow::AuthorizationCode
)]
#[case::blank_urls("<key>OAuth Token Url</key><string> </string>", Flow::AccessKeys)]
fn flows(#[case] body: &str, #[case] expected: Flow) {
    assert_eq!(settings(body).flow().value, expected);
}

#[test]
fn relative_oauth_urls_are_on_the_host() {
    let body =
        format!("{}{}", string("Default Hostname", "h.example"), string("OAuth Token Url", "oauth/token"));
    assert_eq!(settings(&body).oauth().unwrap().token_url.unwrap().as_str(), "https://h.example/oauth/token");
}

#[test]
fn preferences() {
    let of = |text: &str, configuration: Configuration| {
        settings_with(&string("OAuth Redirect Url", text), Bookmark::default(), configuration)
            .oauth()
            .unwrap()
            .redirect
    };
    assert_eq!(
        of("${oauth.handler.scheme}://oauth", Configuration::default()),
        Redirect::CustomScheme("x-cyberduck-action://oauth".to_owned())
    );
    assert_eq!(
        of("${un.known}:oauth", Configuration::default()),
        Redirect::CustomScheme("${un.known}:oauth".to_owned())
    );
    let mut configuration = Configuration::default();
    configuration.preferences.insert("un.known".to_owned(), "known".to_owned());
    assert_eq!(of("${un.known}:oauth", configuration), Redirect::CustomScheme("known:oauth".to_owned()));
    assert_eq!(of("a${b", Configuration::default()), Redirect::Elsewhere("a${b".to_owned()));
}

#[test]
fn values_that_cannot_be_used_say_so() {
    let port = settings(&string("Default Port", "many")).endpoint().unwrap_err();
    assert_eq!(port.to_string(), "profile `lab`: `Default Port` (profile) is `many`, which is not a port");
    assert!(settings(&string("Default Hostname", "a b")).endpoint().is_err());
    assert!(settings(&string("Default Hostname", "a/../b")).endpoint().is_err());
    assert!(settings(&string("Default Hostname", "u@b")).endpoint().is_err());
    assert!(settings(&string("Scheme", "ftp")).endpoint().is_err());
    assert!(settings(&string("STS Endpoint", "file:///x")).sts().is_err());
    let role = entry("Properties", "<array><string>role_arn=me</string></array>");
    assert!(settings(&role).sts().unwrap_err().problem.contains("not an ARN"));
    let duration = entry("Properties", "<array><string>duration_seconds=1h</string></array>");
    assert!(settings(&duration).sts().is_err());
}

#[test]
fn the_context_is_a_path_or_an_address_of_credentials() {
    let with = |context| {
        settings(&format!("{}{}", string("Default Hostname", "h"), string("Context", context)))
            .endpoint()
            .unwrap()
            .value
    };
    assert_eq!(with("/s3").as_str(), "https://h/s3");
    assert_eq!(with("http://169.254.169.254/latest").as_str(), "https://h/");
}

#[test]
fn short_names_in_toml_become_properties() {
    let text = "protocol = 's3'\nvendor = 'v'\nissuer = 'https://i.example'\nscopes = ['openid']\n[properties]\nrole_arn = ''\n";
    let document = Document::parse(text.as_bytes(), "x.toml").unwrap();
    let Document::Profile(profile, bookmark) = document else { panic!("a bookmark") };
    let xml = profile.to_property_list().unwrap();
    let again = Settings::new(
        Stored { name: "lab".to_owned(), profile: self::profile(&xml), bookmark },
        Configuration::default(),
    );
    assert_eq!(again.oauth().unwrap().issuer.unwrap().as_str(), "https://i.example/");
    assert_eq!(again.role().unwrap().value, Role::Ask);
    assert!(again.unknown_keys().is_empty());
}

#[test]
fn toml_is_refused_with_its_line() {
    let of = |text: &str| Document::parse(text.as_bytes(), "x.toml").unwrap_err();
    assert_eq!(of("protocol = 's3'\nvendor = \n").line, 2);
    assert!(of("protocol = 's3'").problem.contains("needs `Vendor`"));
    let error = of("protocol = 's3'\nvendor = 'v'\n\nscopes = 7.5\nregion = [1]");
    assert_eq!(error.line, 5, "{error}");
    assert!(of("protocol = 's3'\nvendor = 'v'\nhelp = 10:00:00").problem.contains("needs a date"));
}

#[test]
fn bookmarks_convert_both_ways() {
    let xml = "<plist><dict><key>Provider</key><string>v</string><key>Hostname</key><string>h</string><key>Custom</key><dict><key>role_arn</key><string>a</string></dict><key>Labels</key><array><string>x</string></array><key>Access Timestamp</key><string>1</string></dict></plist>";
    let document = parse(xml).unwrap();
    let Document::Bookmark(bookmark) = &document else { panic!("a profile") };
    assert_eq!(bookmark.provider().as_deref(), Some("v"));
    assert_eq!(parse(&bookmark.to_property_list().unwrap()).as_ref(), Ok(&document));
    assert_eq!(Document::parse(document.to_toml().as_bytes(), "x.toml").as_ref(), Ok(&document));
    assert_eq!(bookmark.unknown_keys().len(), 1);
}

#[test]
fn texts_that_xml_cannot_hold_are_not_exported() {
    let document = Document::parse(b"protocol='s3'\nvendor='v'\nhelp=\"\\u0001\"", "x.toml").unwrap();
    let Document::Profile(profile, _) = document else { panic!("a bookmark") };
    assert!(profile.to_property_list().is_err());
}

#[test]
fn findings() {
    let text = |body: &str| {
        check(&settings(body)).into_iter().map(|finding| finding.text).collect::<Vec<_>>().join("\n")
    };
    assert!(text("").contains("no sign-in"));
    let code = string("Authorization", "AuthorizationCode");
    let found = text(&code);
    assert!(found.contains("no `OAuth Token Url`") && found.contains("no role"), "{found}");
    let insecure = format!("{code}{}", string("OAuth Token Url", "http://idp.example/token"));
    assert!(text(&insecure).contains("is http"));
    let custom = format!("{code}{}", string("OAuth Redirect Url", "x-cyberduck-action:oauth"));
    assert!(text(&custom).contains("handed back"));
    assert!(text(&string("Default Hostname", "127.0.0.1")).contains("host names under"));
    assert!(text(&string("Default Hostname", "${what}")).contains("has no value"));
}

fn value() -> impl Strategy<Value = Value> {
    let text = "[ -~\t\näöü\r]{0,20}";
    let leaf = prop_oneof![
        text.prop_map(Value::String),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300f64).prop_map(Value::Real),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Data),
        (0i64..4_000_000_000).prop_map(|seconds| {
            let at = wigeon_core::time::Timestamp::from_second(seconds).unwrap();
            Value::Date(plist::Date::from_xml_format(&at.to_string()).unwrap())
        }),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec(("[$a-zA-Z. ]{0,8}", inner), 0..4)
                .prop_map(|entries| Value::Dictionary(entries.into_iter().collect())),
        ]
    })
}

/// Keys in any order are the same dictionary.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Dictionary(entries) => {
            let mut entries: Dictionary =
                entries.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            entries.sort_keys();
            Value::Dictionary(entries)
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_between_the_notations(
        entries in proptest::collection::vec(("[$a-zA-Z. ]{0,12}", value()), 0..6),
        region in "[ -~]{0,10}",
        properties in proptest::collection::vec(("[a-z.]{1,8}", "[ -~]{0,8}"), 0..4),
        generation in any::<bool>(),
    ) {
        let mut dictionary: Dictionary = entries
            .into_iter()
            .filter(|(key, _)| keys::PROFILE.iter().all(|known| known.plist != key))
            .collect();
        for (key, text) in [("Protocol", "s3"), ("Vendor", "v"), ("Region", region.as_str())] {
            dictionary.insert(key.to_owned(), Value::from(text));
        }
        let properties = if generation {
            Value::Dictionary(properties.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect())
        } else {
            Value::Array(properties.iter().map(|(k, v)| Value::from(format!("{k}={v}"))).collect())
        };
        dictionary.insert("Properties".to_owned(), properties);
        let expected = sorted(&Value::Dictionary(dictionary.clone()));
        let profile = Profile::new(dictionary).unwrap();

        let toml = Document::Profile(profile.clone(), Bookmark::default()).to_toml();
        let Document::Profile(from_toml, _) = Document::parse(toml.as_bytes(), "x.toml").unwrap() else { panic!() };
        prop_assert_eq!(&sorted(&Value::Dictionary(from_toml.dictionary)), &expected, "{}", toml);

        let xml = profile.to_property_list().unwrap();
        let Document::Profile(from_xml, _) = Document::parse(xml.as_bytes(), "x").unwrap() else { panic!() };
        prop_assert_eq!(&sorted(&Value::Dictionary(from_xml.dictionary)), &expected, "{}", xml);
    }

    #[test]
    fn foreign_bytes_never_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Document::parse(&bytes, "x");
        let _ = Document::parse(&bytes, "x.toml");
    }
}

#[test]
fn files_that_cost_more_than_they_weigh_are_refused() {
    // A binary list whose only element is itself: 8 bytes of head, the list, its offset, the trailer.
    let mut bomb = b"bplist00\xa1\x00\x08".to_vec();
    bomb.extend([0, 0, 0, 0, 0, 0, 1, 1]);
    bomb.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10]);
    let long = [b"<plist><dict>".to_vec(), vec![b' '; 5 << 20]].concat();
    let deep = [b"<plist><dict><key>a</key>".to_vec(), b"<array>".repeat(100_000)].concat();
    for bytes in [bomb, long, deep] {
        assert!(Document::parse(&bytes, "x.cyberduckprofile").is_err());
    }
}
