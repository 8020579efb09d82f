//! The base of a merge: what source and target were when they were last the same, by the record of the last promotion or
//! by a copy that somebody made by hand.

use std::collections::{BTreeMap, HashMap};

use overlay::{ObjectHash, Tree, TreeError};

use super::merge::{Base, Rules, merge};
use super::record::Record;
use crate::source::SourceError;
use crate::source::history::{Before, History, Point};

/// What is known of a file's past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Past {
    /// Nobody knows when the sides were the same.
    Unknown,
    /// Neither side had it.
    Absent,
    /// This is what both had, or what was promoted.
    Was(Vec<u8>),
}

/// A file of which the base is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// In the source.
    pub source: String,
    /// In the target.
    pub target: String,
    /// What never travels of it.
    pub rules: Rules,
}

/// Why a base cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The repository cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The history is cut before the base of a file was found.
    #[error("this is a shallow clone, and the base of {path} lies before where it is cut")]
    Cut {
        /// The file.
        path: String,
    },
    /// The version that was promoted last is not in this clone.
    #[error(
        "this clone has not got the version of {path} that was promoted last, from commit {commit}"
    )]
    Missing {
        /// The file.
        path: String,
        /// The commit that holds it.
        commit: String,
    },
}

impl BaseError {
    /// The fetch that helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cut { .. } => Some("`git fetch --unshallow` brings the rest".to_owned()),
            Self::Missing { commit, .. } => {
                Some(format!("`git fetch --depth=1 origin {commit}` brings it"))
            }
            _ => None,
        }
    }
}

/// The record of an app, and where it lies.
#[derive(Clone, Copy)]
pub struct Recorded<'a> {
    /// Its path.
    pub path: &'a str,
    /// What it says.
    pub record: Option<&'a Record>,
}

/// Finds the base of each file, by its path in the target. What is the same on both sides counts on the way back from a
/// commit of the default branch, and not in commits that only the branch at hand has.
pub fn bases(
    history: &History,
    [head, trunk]: [&Point; 2],
    wanted: &[Wanted],
    recorded: Recorded<'_>,
) -> Result<BTreeMap<String, Past>, BaseError> {
    let mut search = Search {
        history,
        found: BTreeMap::new(),
        equal: HashMap::new(),
        head_record: head.tree.id(recorded.path)?,
        recorded,
    };
    let mut pending: Vec<&Wanted> = wanted.iter().collect();
    let mut point = trunk.clone();
    loop {
        search.at(&point, &mut pending)?;
        if pending.is_empty() {
            break;
        }
        match history.before(&point)? {
            Before::Commit(earlier) => point = *earlier,
            Before::Beginning => break,
            Before::Cut => search.cut(&point, &mut pending)?,
        }
        if pending.is_empty() {
            break;
        }
    }
    for file in pending {
        search.found.insert(file.target.clone(), Past::Unknown);
    }
    Ok(search.found)
}

struct Search<'a> {
    history: &'a History,
    found: BTreeMap<String, Past>,
    /// Pairs of blobs that were compared.
    equal: HashMap<(ObjectHash, ObjectHash), bool>,
    /// The record's blob at the head.
    head_record: Option<ObjectHash>,
    recorded: Recorded<'a>,
}

impl<'a> Search<'a> {
    /// Settles the files whose sides are the same at a commit, and those of a record that this commit has not got yet.
    fn at(&mut self, point: &Point, pending: &mut Vec<&'a Wanted>) -> Result<(), BaseError> {
        let is_before = point.tree.id(self.recorded.path)? != self.head_record;
        let mut left = Vec::new();
        for file in pending.drain(..) {
            let past = match is_before {
                true => self.of_record(file)?,
                false => None,
            };
            match past.map_or_else(
                || self.if_equal(point, file).transpose(),
                |past| Some(Ok(past)),
            ) {
                Some(past) => drop(self.found.insert(file.target.clone(), past?)),
                None => left.push(file),
            }
        }
        *pending = left;
        Ok(())
    }

    /// What was promoted last.
    fn of_record(&self, file: &Wanted) -> Result<Option<Past>, BaseError> {
        let Some(record) = self.recorded.record else {
            return Ok(None);
        };
        // A file that the record does not name was on neither side then.
        let Some(id) = record
            .files
            .get(&file.target)
            .and_then(|blobs| blobs.source.as_ref())
        else {
            return Ok(Some(Past::Absent));
        };
        let bytes = parse(id).and_then(|id| self.history.blob(id));
        match bytes {
            Some(bytes) => Ok(Some(Past::Was(bytes))),
            None => Err(BaseError::Missing {
                path: file.target.clone(),
                commit: record.commit.clone(),
            }),
        }
    }

    fn if_equal(&mut self, point: &Point, file: &Wanted) -> Result<Option<Past>, BaseError> {
        let source = point.tree.id(&file.source)?;
        let target = point.tree.id(&file.target)?;
        let (source, target) = match (source, target) {
            (Some(source), Some(target)) => (source, target),
            (None, None) => return Ok(Some(Past::Absent)),
            _ => return Ok(None),
        };
        let is_equal = match self.equal.get(&(source, target)) {
            Some(known) => *known,
            None => {
                let [one, other] =
                    [source, target].map(|id| self.history.blob(id).unwrap_or_default());
                let is_equal = source == target || same(&one, &other, &file.rules);
                self.equal.insert((source, target), is_equal);
                is_equal
            }
        };
        let bytes = is_equal.then(|| self.history.blob(source)).flatten();
        Ok(bytes.map(Past::Was))
    }

    /// Where a shallow clone is cut a record still counts, for files that nobody touched in the target since.
    fn cut(&mut self, point: &Point, pending: &mut Vec<&'a Wanted>) -> Result<(), BaseError> {
        for file in pending.drain(..) {
            let recorded = self
                .recorded
                .record
                .and_then(|record| record.files.get(&file.target));
            let now = point.tree.id(&file.target)?.map(|id| id.to_string());
            let past = match recorded.is_some_and(|blobs| blobs.target == now) {
                true => self.of_record(file)?,
                false => None,
            };
            match past {
                Some(past) => drop(self.found.insert(file.target.clone(), past)),
                None => {
                    let path = file.target.clone();
                    return Err(BaseError::Cut { path });
                }
            }
        }
        Ok(())
    }
}

/// True when two versions are the same but for what never travels.
pub fn same(one: &[u8], other: &[u8], rules: &Rules) -> bool {
    if one == other {
        return true;
    }
    let (Ok(one), Ok(other)) = (std::str::from_utf8(one), std::str::from_utf8(other)) else {
        return false;
    };
    merge(Base::Unknown, one, other, rules).is_ok_and(|merged| merged.findings.is_empty())
}

/// An id as it is written down.
pub fn parse(id: &str) -> Option<ObjectHash> {
    let id = gix::ObjectId::from_hex(id.as_bytes()).ok()?;
    let mut bytes = [0; 20];
    bytes.copy_from_slice(id.as_bytes());
    Some(ObjectHash(bytes))
}
