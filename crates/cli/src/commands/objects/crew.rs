//! The same done to many objects, several at once: each outcome is told where it comes, failures are counted and make
//! the exit code.

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use wigeon_client::s3::{Client, ObjectSummary};
use wigeon_client::transfer::Address;
use wigeon_core::s3::ObjectKey;

use super::address::StorePlace;
use super::meant::{Meant, MeantArgs};
use super::{human, store};
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// How many are worked on at once.
const AT_ONCE: usize = 32;

/// An object to do something to; `listed` where it came from a list.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) address: Address,
    pub(crate) listed: Option<ObjectSummary>,
}

/// What was done to an object: a word for people (`tagged`), and what else JSON is to say.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) word: &'static str,
    pub(crate) more: Map<String, Value>,
    /// It was as wished before.
    pub(crate) is_idle: bool,
    /// The line for people, where the work is to show something.
    pub(crate) line: Option<String>,
}

impl Deed {
    /// Something was done.
    pub(crate) fn done(word: &'static str) -> Self {
        Self { word, more: Map::new(), is_idle: false, line: None }
    }

    /// Nothing had to be done.
    pub(crate) fn idle(word: &'static str) -> Self {
        Self { is_idle: true, ..Self::done(word) }
    }

    /// Something was found out.
    pub(crate) fn shown(line: String) -> Self {
        Self { line: Some(line), ..Self::done("shown") }
    }

    /// Says one more thing in JSON.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }
}

/// The objects that work is done on, from their addresses on.
pub(crate) struct Crew<'a> {
    context: &'a Context,
    tasks: JoinSet<(Address, Result<Deed, Failure>)>,
    done: u64,
    idle: u64,
    failed: u64,
    first: Option<Failure>,
    word: &'static str,
    /// The work shows something: there is nothing else to say.
    shows: bool,
}

impl<'a> Crew<'a> {
    /// Nothing done yet.
    pub(crate) fn new(context: &'a Context) -> Self {
        Self {
            context,
            tasks: JoinSet::new(),
            done: 0,
            idle: 0,
            failed: 0,
            first: None,
            word: "done",
            shows: false,
        }
    }

    /// Does `work` to all objects that the addresses mean.
    pub(crate) async fn work<F>(
        mut self,
        addresses: &[String],
        meant: &MeantArgs,
        mut work: impl FnMut(Client, Job) -> F,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<Deed, Failure>> + Send + 'static,
    {
        let mut alone = addresses.len() == 1;
        let mut outcome = Ok(());
        for address in addresses {
            outcome = self.work_below(address, meant, &mut work, &mut alone).await;
            if outcome.is_err() {
                break;
            }
        }
        // What was begun before something failed is finished all the same.
        let finished = self.finish(alone).await;
        outcome.and(finished)
    }

    async fn work_below<F>(
        &mut self,
        address: &str,
        meant: &MeantArgs,
        work: &mut impl FnMut(Client, Job) -> F,
        alone: &mut bool,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<Deed, Failure>> + Send + 'static,
    {
        let place = StorePlace::parse(address)?;
        let client = store::open(self.context, &place)?;
        let many = match meant.meant(&place, self.context)? {
            Meant::One(address) => {
                let job = Job { address: address.clone(), listed: None };
                return self.spawn(address, work(client, job)).await;
            }
            Meant::Many(many) => many,
        };
        *alone = false;
        let mut objects = many.objects(&client);
        let mut any = false;
        while let Some(object) = objects.next().await? {
            any = true;
            let key = ObjectKey::parse(object.key.as_str())
                .map_err(|error| Failure::because(Kind::Error, &error))?;
            let address = Address { bucket: many.below.bucket.clone(), key };
            let job = Job { address: address.clone(), listed: Some(object) };
            self.spawn(address, work(client.clone(), job)).await?;
        }
        if any || many.is_whole_bucket() { Ok(()) } else { Err(many.nothing(&place)) }
    }

    /// Starts on one more, once there is room for it.
    pub(crate) async fn spawn(
        &mut self,
        address: Address,
        work: impl Future<Output = Result<Deed, Failure>> + Send + 'static,
    ) -> Result<(), Failure> {
        while self.tasks.len() >= AT_ONCE {
            self.one().await?;
        }
        self.tasks.spawn(async move { (address, work.await) });
        Ok(())
    }

    async fn one(&mut self) -> Result<(), Failure> {
        let Some(joined) = self.tasks.join_next().await else { return Ok(()) };
        let (address, outcome) = joined.map_err(|error| Failure::because(Kind::Error, &error))?;
        let mut line = Map::new();
        line.insert("bucket".to_owned(), address.bucket.as_str().into());
        line.insert("key".to_owned(), address.key.as_str().into());
        match outcome {
            Ok(deed) => {
                self.word = if self.done == 0 { deed.word } else { self.word };
                if deed.is_idle {
                    self.idle += 1
                } else {
                    self.done += 1
                }
                self.shows |= deed.line.is_some();
                if let Some(text) = deed.line.filter(|_| !self.context.output.is_json()) {
                    self.context.output.line(&human::name(&text))?;
                }
                if self.context.output.is_json() {
                    line.insert("done".to_owned(), deed.word.into());
                    line.extend(deed.more);
                    self.context.output.item(&line, |_| String::new())?;
                }
            }
            Err(failure) => {
                self.failed += 1;
                if self.context.output.is_json() {
                    let error = json!({
                        "kind": failure.kind.name(), "message": failure.message, "causes": failure.causes,
                    });
                    line.insert("error".to_owned(), error);
                    self.context.output.item(&line, |_| String::new())?;
                } else if self.first.is_some() {
                    self.tell(&address, &failure);
                }
                if self.first.is_none() {
                    self.first = Some(named(&address, failure));
                }
            }
        }
        Ok(())
    }

    fn tell(&self, address: &Address, failure: &Failure) {
        let causes: String = failure.causes.iter().map(|cause| format!(": {cause}")).collect();
        let text = format!("failed `{address}`: {}{causes}", failure.message);
        self.context.output.message(&human::name(&text));
    }

    /// The sentence, and the exit code: the first failure's where all failed, partly done where some did. `alone`:
    /// one object was named, and its failure is the command's.
    pub(crate) async fn finish(mut self, alone: bool) -> Result<(), Failure> {
        while !self.tasks.is_empty() {
            self.one().await?;
        }
        let count = |number| human::count(number, "object", "objects");
        if !self.context.output.is_json() {
            let idle = match self.idle {
                0 => String::new(),
                idle => format!("; {} as wished before", count(idle)),
            };
            if self.done + self.idle > 0 && !self.shows {
                let first = self.word.get(..1).unwrap_or_default().to_uppercase();
                let rest = self.word.get(1..).unwrap_or_default();
                self.context.output.note(&format!("{first}{rest} {}{idle}.", count(self.done)));
            }
        }
        let Some(first) = self.first else { return Ok(()) };
        if alone {
            return Err(first);
        }
        let kind = if self.done + self.idle == 0 { first.kind } else { Kind::Partial };
        let all = count(self.failed + self.done + self.idle);
        Err(Failure {
            causes: [vec![first.message], first.causes].concat(),
            hints: first.hints,
            ..Failure::new(kind, format!("{} of {all} failed", self.failed))
        })
    }
}

/// The store's sentences name the object; others get its name.
fn named(address: &Address, failure: Failure) -> Failure {
    if failure.message.contains(&address.to_string()) {
        return failure;
    }
    Failure { message: format!("`{address}`: {}", failure.message), ..failure }
}
