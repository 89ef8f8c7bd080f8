//! `Steps`: results, turns, chunks, and the load of a step.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use convoke_app::ports::{Definition, Fetched, PortError, Reads, StepRecord, Steps, TurnRecord};
use convoke_domain::ids::{JobKey, StepId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::DynamoTable;
use super::group::decode;
use super::item::{self, Fields, Item, document};
use super::requests::PutOnce;
use super::schema::{self, DEFINITION, PK, SK, job_pk};

const FETCH: &str = "the table (loading a step)";
const PUT_RESULT: &str = "the table (putting a result)";
const RESULTS: &str = "the table (reading results)";
const PUT_TURN: &str = "the table (putting a turn)";
const TURNS: &str = "the table (reading turns)";
const PUT_CHUNKS: &str = "the table (putting a list)";

#[async_trait]
impl Steps for DynamoTable {
    async fn fetch_all(&self, wanted: &[(JobKey, Reads)]) -> Result<Vec<Fetched>, PortError> {
        let mut keys: BTreeSet<(String, String)> = BTreeSet::new();
        for (key, reads) in wanted {
            let own = job_pk(key);
            keys.extend(own_sort_keys(reads).map(|sk| (own.clone(), sk)));
            if let Some((pk, steps)) = parent_of(key, reads) {
                keys.extend(steps.iter().map(|step| (pk.clone(), schema::result_sk(step))));
            }
        }
        let keys = keys.into_iter().map(|(pk, sk)| item::key(pk, sk)).collect();
        let found = Found::of(self.get_batch(FETCH, keys).await?)?;
        wanted.iter().map(|(key, reads)| found.part(key, reads)).collect()
    }

    async fn put_result(&self, key: &JobKey, record: &StepRecord) -> Result<StepRecord, PortError> {
        self.put_document(PUT_RESULT, (job_pk(key), schema::result_sk(&record.step)), record).await
    }

    async fn results(
        &self,
        key: &JobKey,
        task: Option<&str>,
        after: Option<&StepId>,
        limit: u32,
    ) -> Result<Vec<StepRecord>, PortError> {
        // '$' follows '#', so that this is all that begins with the prefix; ' ' is before whatever follows a sort key.
        let (prefix, end) = match task {
            Some(task) => (format!("S#{task}#"), format!("S#{task}$")),
            None => ("S#".to_owned(), "S$".to_owned()),
        };
        let from = match after {
            Some(step) => prefix.max(format!("{} ", schema::result_sk(step))),
            None => prefix,
        };
        if from > end {
            return Ok(Vec::new());
        }
        let query = self.query(&job_pk(key), &from, &end);
        contents(&self.pages(RESULTS, query, limit as usize).await?)
    }

    async fn put_turn(&self, key: &JobKey, record: &TurnRecord) -> Result<TurnRecord, PortError> {
        self.put_document(PUT_TURN, (job_pk(key), schema::turn_sk(&record.step, record.turn)), record).await
    }

    async fn turns(&self, key: &JobKey, step: &StepId) -> Result<Vec<TurnRecord>, PortError> {
        let prefix = schema::turns_prefix(step);
        let query = self.query(&job_pk(key), &prefix, &format!("{prefix}~"));
        contents(&self.pages(TURNS, query, usize::MAX).await?)
    }

    async fn put_chunks(&self, key: &JobKey, node: u16, chunks: &[Vec<Value>]) -> Result<(), PortError> {
        let items = (0..).zip(chunks).map(|(number, chunk)| {
            let sk = schema::chunk_sk(node, number);
            document(job_pk(key), sk, chunk)
        });
        self.put_batch(PUT_CHUNKS, items.collect::<Result<_, _>>()?).await
    }
}

impl DynamoTable {
    /// Puts a record if there is none; answers the stored one.
    async fn put_document<T: Serialize + DeserializeOwned + Clone>(
        &self,
        what: &'static str,
        (pk, sk): (String, String),
        record: &T,
    ) -> Result<T, PortError> {
        match self.put_once(what, document(pk, sk, record)?).await? {
            PutOnce::Stored => Ok(record.clone()),
            PutOnce::Found(item) => Fields::of(&item)?.content(),
        }
    }
}

/// The partition of the job's parent, and the steps that are read there.
fn parent_of<'r>(key: &JobKey, reads: &'r Reads) -> Option<(String, &'r Vec<StepId>)> {
    let (job, steps) = reads.of_parent.as_ref()?;
    Some((job_pk(&JobKey { tenant: key.tenant.clone(), job: job.clone() }), steps))
}

fn own_sort_keys(reads: &Reads) -> impl Iterator<Item = String> {
    let group = reads.group.iter().map(ToString::to_string);
    let definition = reads.definition.then(|| DEFINITION.to_owned());
    let results = reads.results.iter().map(schema::result_sk);
    let chunks = reads.chunks.iter().map(|(node, chunk)| schema::chunk_sk(*node, *chunk));
    group.chain(definition).chain(results).chain(chunks)
}

fn contents<T: DeserializeOwned>(items: &[Item]) -> Result<Vec<T>, PortError> {
    items.iter().map(|item| Fields::of(item)?.content()).collect()
}

/// What a batch has brought, by key.
struct Found(HashMap<(String, String), Item>);

impl Found {
    fn of(items: Vec<Item>) -> Result<Self, PortError> {
        let keyed = items.into_iter().map(|item| {
            let fields = Fields::of(&item)?;
            let key = (fields.text(PK)?.to_owned(), fields.text(SK)?.to_owned());
            Ok((key, item))
        });
        keyed.collect::<Result<_, _>>().map(Self)
    }

    /// What of it was wanted for a job.
    fn part(&self, key: &JobKey, reads: &Reads) -> Result<Fetched, PortError> {
        let own = job_pk(key);
        Ok(Fetched {
            group: reads.group.and_then(|id| self.get(&own, &id.to_string())).map(decode).transpose()?,
            definition: if reads.definition { self.content::<Definition>(&own, DEFINITION)? } else { None },
            results: self.results(&own, &reads.results)?,
            of_parent: match parent_of(key, reads) {
                Some((pk, steps)) => self.results(&pk, steps)?,
                None => BTreeMap::new(),
            },
            chunks: self.chunks(&own, &reads.chunks)?,
        })
    }

    fn get(&self, pk: &str, sk: &str) -> Option<&Item> {
        self.0.get(&(pk.to_owned(), sk.to_owned()))
    }

    fn content<T: DeserializeOwned>(&self, pk: &str, sk: &str) -> Result<Option<T>, PortError> {
        self.get(pk, sk).map(|item| Fields::of(item)?.content()).transpose()
    }

    fn results(&self, pk: &str, steps: &[StepId]) -> Result<BTreeMap<StepId, StepRecord>, PortError> {
        let mut results = BTreeMap::new();
        for step in steps {
            if let Some(record) = self.content(pk, &schema::result_sk(step))? {
                results.insert(step.clone(), record);
            }
        }
        Ok(results)
    }

    fn chunks(&self, pk: &str, wanted: &[(u16, u32)]) -> Result<BTreeMap<(u16, u32), Vec<Value>>, PortError> {
        let mut chunks = BTreeMap::new();
        for &(node, chunk) in wanted {
            if let Some(items) = self.content(pk, &schema::chunk_sk(node, chunk))? {
                chunks.insert((node, chunk), items);
            }
        }
        Ok(chunks)
    }
}
