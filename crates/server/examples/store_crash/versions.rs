//! The half of the crash test that has versions: what was acknowledged as one is there, whole, until its deletion began;
//! and objects that expire while they are written are whole as long as they are there.

use std::collections::{BTreeMap, BTreeSet};

use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_server::backend::local::attributes::NewObject;
use wigeon_server::backend::local::checksum::Checksums;
use wigeon_server::backend::local::conditions::PutCondition;
use wigeon_server::backend::local::lifecycle::{Expiration, Lifecycle, Rule};
use wigeon_server::backend::local::request::{
    CompletedPart, Completion, Deletion, ListQuery, NewUpload, VersionQuery,
};
use wigeon_server::backend::local::settings::Setting;
use wigeon_server::backend::local::version::VersionId;
use wigeon_server::backend::local::{Store, StoreError};

use crate::{Outcome, Random, Recipe, content, piece, read, stage, tell};

const KEYS: u64 = 3;

/// So many versions of a key are kept from one kill to the next.
const MOST_VERSIONS: usize = 12;

pub(crate) fn versioned() -> Outcome<BucketName> {
    Ok(BucketName::parse("versions")?)
}

fn expiring() -> Outcome<BucketName> {
    Ok(BucketName::parse("expiring")?)
}

/// Makes the buckets.
pub(crate) async fn prepare(store: &Store) -> Outcome<()> {
    if store.bucket(&versioned()?).await.is_ok() {
        return Ok(());
    }
    store.create_bucket(&versioned()?).await?;
    store.set_versioning(&versioned()?, true).await?;
    store.create_bucket(&expiring()?).await?;
    let rule = Rule {
        id: "at once".to_owned(),
        enabled: true,
        expiration: Some(Expiration::Date(0)),
        ..Rule::default()
    };
    let rules = serde_json::to_string(&Lifecycle(vec![rule]))?;
    store.set_setting(&expiring()?, Setting::Lifecycle, Some(rules)).await?;
    Ok(())
}

// The child.

pub(crate) struct Worker {
    pub(crate) store: Store,
    pub(crate) worker: u64,
    pub(crate) random: Random,
}

impl Worker {
    /// Works until it is killed.
    pub(crate) async fn run(mut self) -> Outcome<()> {
        let home = versioned()?;
        let mut made: Vec<(ObjectKey, VersionId)> = Vec::new();
        loop {
            let key = ObjectKey::parse(format!("{}/{}", self.worker, self.random.below(KEYS)))?;
            match self.random.below(10) {
                0..5 => {
                    let piece = piece(&mut self.random);
                    tell(&format!("v-begin\t{key}\t{}", serde_json::to_string(&Some(vec![piece]))?))?;
                    let staged = stage(&self.store, piece).await?;
                    let always = PutCondition::Always;
                    let object = self.store.put(&home, &key, staged, NewObject::default(), always).await?;
                    let id = object.version.ok_or("no version")?;
                    self.made(&mut made, key, id)?;
                }
                5 | 6 => {
                    let pieces = vec![piece(&mut self.random), piece(&mut self.random)];
                    tell(&format!("v-begin\t{key}\t{}", serde_json::to_string(&Some(pieces.clone()))?))?;
                    if let Some(id) = self.upload(&home, &key, &pieces).await? {
                        self.made(&mut made, key, id)?;
                    }
                }
                7 => {
                    tell(&format!("v-begin\t{key}\t{}", serde_json::to_string(&Recipe::None)?))?;
                    let id = self.store.delete(&home, Deletion::of(key.clone())).await?.version;
                    self.made(&mut made, key, id.ok_or("no version")?)?;
                }
                _ if made.is_empty() => {}
                _ => {
                    let at = usize::try_from(self.random.below(made.len() as u64))?;
                    let (key, id) = made.swap_remove(at);
                    tell(&format!("v-delete\t{key}\t{id}"))?;
                    self.store
                        .delete(&home, Deletion { version: Some(id), ..Deletion::of(key.clone()) })
                        .await?;
                    tell(&format!("v-deleted\t{key}\t{id}"))?;
                }
            }
        }
    }

    fn made(&self, made: &mut Vec<(ObjectKey, VersionId)>, key: ObjectKey, id: VersionId) -> Outcome<()> {
        tell(&format!("v-made\t{key}\t{id}"))?;
        made.push((key, id));
        Ok(())
    }

    /// `None` where a part was too small; nothing was made then.
    async fn upload(
        &self,
        home: &BucketName,
        key: &ObjectKey,
        pieces: &[(u64, usize)],
    ) -> Outcome<Option<VersionId>> {
        let id = self.store.create_upload(home, key, NewUpload::default()).await?.id;
        let mut parts = Vec::new();
        for (number, piece) in (1..).zip(pieces) {
            let staged = stage(&self.store, *piece).await?;
            let part = self.store.put_part(home, key, &id, number, staged, Checksums::default()).await?;
            parts.push(CompletedPart { number, etag: part.etag, checksum: None });
        }
        let completion = Completion { parts, ..Completion::default() };
        match self.store.complete_upload(home, key, &id, completion.clone()).await {
            Ok(made) => {
                // Whoever asks again hears the same.
                let again = self.store.complete_upload(home, key, &id, completion).await?;
                if again != made {
                    return Err("a completion was answered differently the second time".into());
                }
                Ok(made.version)
            }
            Err(StoreError::PartTooSmall { .. }) => {
                self.store.abort_upload(home, key, &id).await?;
                Ok(None)
            }
            Err(other) => Err(other.into()),
        }
    }
}

/// Writes objects whose names say what they hold, while another task expires them.
pub(crate) async fn write_expiring(store: Store, mut random: Random) -> Outcome<()> {
    let home = expiring()?;
    loop {
        let (seed, size) = piece(&mut random);
        let staged = stage(&store, (seed, size)).await?;
        let key = ObjectKey::parse(format!("{seed}-{size}"))?;
        store.put(&home, &key, staged, NewObject::default(), PutCondition::Always).await?;
    }
}

/// Expires them.
pub(crate) async fn expire(store: Store) -> Outcome<()> {
    loop {
        store.expire().await?;
        tokio::task::yield_now().await;
    }
}

// The parent.

/// What each version of each key holds.
#[derive(Default)]
pub(crate) struct Known {
    versions: BTreeMap<String, BTreeMap<String, Recipe>>,
}

impl Known {
    /// Takes in what the child told, and compares it with the store. Returns how many versions were read.
    pub(crate) async fn check(&mut self, store: &Store, told: &[String]) -> Outcome<u64> {
        let mut under_way: BTreeMap<String, Recipe> = BTreeMap::new();
        let mut going: BTreeSet<(String, String)> = BTreeSet::new();
        for line in told {
            let fields: Vec<&str> = line.split('\t').collect();
            let [word, key, what] = fields.as_slice() else {
                return Err(format!("unreadable line {line:?}").into());
            };
            match *word {
                "v-begin" => drop(under_way.insert((*key).to_owned(), serde_json::from_str(what)?)),
                "v-made" => {
                    let recipe = under_way.remove(*key).ok_or("made without a beginning")?;
                    self.versions.entry((*key).to_owned()).or_default().insert((*what).to_owned(), recipe);
                }
                "v-delete" => drop(going.insert(((*key).to_owned(), (*what).to_owned()))),
                "v-deleted" => {
                    going.remove(&((*key).to_owned(), (*what).to_owned()));
                    self.versions.entry((*key).to_owned()).or_default().remove(*what);
                }
                _ => {}
            }
        }
        let mut found: BTreeMap<String, BTreeMap<String, Recipe>> = BTreeMap::new();
        let mut read_versions = 0;
        for (key, id, latest, is_object) in all_versions(store).await? {
            let first = !found.contains_key(&key);
            if latest != first {
                return Err(
                    format!("`{key}` {id} is the latest and not the first, or the other way round").into()
                );
            }
            let known = self.versions.get(&key).and_then(|versions| versions.get(&id)).cloned();
            let recipe = known.or_else(|| under_way.get(&key).cloned());
            let recipe = recipe.ok_or_else(|| format!("`{key}` {id} came from nowhere"))?;
            let holds = match is_object {
                true => read(store, &versioned()?, &key, Some(id.parse()?)).await?,
                false => None,
            };
            read_versions += 1;
            if holds != recipe.as_ref().map(|recipe| content(recipe)) {
                return Err(format!("`{key}` {id} is not what was written").into());
            }
            found.entry(key).or_default().insert(id, recipe);
        }
        for (key, versions) in &self.versions {
            for id in versions.keys() {
                let there = found.get(key).is_some_and(|found| found.contains_key(id));
                if !there && !going.contains(&(key.clone(), id.clone())) {
                    return Err(format!("`{key}` {id} was acknowledged and is lost").into());
                }
            }
        }
        self.versions = found;
        self.thin_out(store).await?;
        whole_as_long_as_they_are_there(store).await?;
        Ok(read_versions)
    }

    async fn thin_out(&mut self, store: &Store) -> Outcome<()> {
        for (key, versions) in &mut self.versions {
            while versions.len() > MOST_VERSIONS {
                let Some((oldest, _)) = versions.pop_first() else { break };
                let version = Some(oldest.parse()?);
                let deletion = Deletion { version, ..Deletion::of(ObjectKey::parse(key.clone())?) };
                store.delete(&versioned()?, deletion).await?;
            }
        }
        Ok(())
    }
}

/// Key, version, whether it is the latest, whether it is an object.
async fn all_versions(store: &Store) -> Outcome<Vec<(String, String, bool, bool)>> {
    let mut all = Vec::new();
    let mut query = VersionQuery { max_keys: 100, ..VersionQuery::default() };
    loop {
        let page = store.list_versions(&versioned()?, query.clone()).await?;
        all.extend(page.versions.into_iter().map(|version| {
            let (key, id) = (version.key.to_string(), version.version.to_string());
            (key, id, version.is_latest, version.object.is_some())
        }));
        let Some((after_key, after_version)) = page.next else { return Ok(all) };
        query = VersionQuery { after_key, after_version, ..query };
    }
}

async fn whole_as_long_as_they_are_there(store: &Store) -> Outcome<()> {
    let mut query = ListQuery { max_keys: 1000, ..ListQuery::default() };
    loop {
        let page = store.list(&expiring()?, query.clone()).await?;
        for object in page.objects {
            let name = object.key.as_str();
            let (seed, size) = name.split_once('-').ok_or("a name that nobody gave")?;
            let holds = read(store, &expiring()?, name, None).await?;
            if holds != Some(content(&[(seed.parse()?, size.parse()?)])) {
                return Err(format!("`{name}` is not whole").into());
            }
        }
        let Some(next) = page.next else { return Ok(()) };
        query.after = next;
    }
}
