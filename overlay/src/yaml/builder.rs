//! Events become nodes: collections are stacked, anchors remembered, merge keys resolved, budgets kept.

use super::limits::Limits;
use super::merge_keys::{add_merge, check_duplicates, merge_into, without_repeats};
use super::problem::{Problem, ProblemKind};
use super::read::Source;
use super::{Dialect, Key, Mapping, Mark, Node, Value};

/// A finished node and what it counts for in the budgets.
#[derive(Clone)]
struct Built {
    node: Node,
    /// Nodes in it, aliases expanded.
    nodes: usize,
    /// Levels of collections in it.
    height: usize,
}

/// A collection that is not finished.
struct Frame {
    kind: FrameKind,
    mark: Mark,
    anchor: usize,
    nodes: usize,
    height: usize,
}

enum FrameKind {
    Sequence(Vec<Node>),
    Mapping {
        entries: Mapping,
        /// What `<<` brings, in the order of precedence.
        merges: Vec<Node>,
        /// The place of `<<`, to refuse a second one.
        merge_mark: Option<Mark>,
        key: Pending,
    },
}

/// The key whose value comes next.
enum Pending {
    None,
    Key(Key),
    Merge,
}

/// Builds the nodes of one document after the other.
pub(super) struct Builder {
    dialect: Dialect,
    limits: Limits,
    last_key_counts: bool,
    frames: Vec<Frame>,
    /// Finished nodes by the number of their anchor.
    anchors: Vec<Option<Built>>,
    /// Anchors of the whole file so far.
    anchored: usize,
    root: Option<Node>,
    /// Nodes of the whole file so far, aliases expanded.
    nodes: usize,
}

/// A scalar as an event brings it.
pub(super) struct ScalarEvent {
    pub(super) node: Node,
    /// It is an unquoted `<<`.
    pub(super) is_merge: bool,
    pub(super) anchor: usize,
}

impl Builder {
    pub(super) fn new(source: &Source<'_>) -> Self {
        Self {
            dialect: source.dialect,
            limits: source.limits,
            last_key_counts: source.last_key_counts,
            frames: Vec::new(),
            anchors: Vec::new(),
            anchored: 0,
            root: None,
            nodes: 0,
        }
    }

    /// How many more nodes the file may have.
    pub(super) fn nodes_left(&self) -> usize {
        self.limits.nodes.saturating_sub(self.nodes)
    }

    /// Counts nodes that another reader has made.
    pub(super) fn count_nodes(&mut self, nodes: usize) {
        self.nodes += nodes;
    }

    /// The finished document; anchors end with it.
    pub(super) fn take_document(&mut self) -> Option<Node> {
        self.anchors.clear();
        self.frames.clear();
        self.root.take()
    }

    pub(super) fn scalar(&mut self, event: ScalarEvent) -> Result<(), Problem> {
        let built = Built {
            node: event.node,
            nodes: 1,
            height: 0,
        };
        self.remember(event.anchor, &built)?;
        let is_root = self.frames.len() == 1;
        if let Some(Frame {
            kind: FrameKind::Mapping {
                key, merge_mark, ..
            },
            ..
        }) = self.frames.last_mut()
            && matches!(key, Pending::None)
        {
            let mark = built.node.mark;
            if event.is_merge {
                return begin_merge(key, merge_mark, mark);
            }
            *key = Pending::Key(super::keys::read_key(&built.node, self.dialect, is_root)?);
            return Ok(());
        }
        self.finish(built)
    }

    pub(super) fn begin_sequence(&mut self, mark: Mark, anchor: usize) -> Result<(), Problem> {
        self.begin(FrameKind::Sequence(Vec::new()), mark, anchor)
    }

    pub(super) fn begin_mapping(&mut self, mark: Mark, anchor: usize) -> Result<(), Problem> {
        let kind = FrameKind::Mapping {
            entries: Mapping::default(),
            merges: Vec::new(),
            merge_mark: None,
            key: Pending::None,
        };
        self.begin(kind, mark, anchor)
    }

    fn begin(&mut self, kind: FrameKind, mark: Mark, anchor: usize) -> Result<(), Problem> {
        if let Some(Frame {
            kind: FrameKind::Mapping {
                key: Pending::None, ..
            },
            ..
        }) = self.frames.last()
        {
            return Err(ProblemKind::KeyCollection.at(mark.line, u32::from(mark.column)));
        }
        self.check_depth(self.frames.len() + 1, mark)?;
        self.frames.push(Frame {
            kind,
            mark,
            anchor,
            nodes: 1,
            height: 0,
        });
        Ok(())
    }

    /// Ends the innermost collection.
    pub(super) fn end(&mut self) -> Result<(), Problem> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let (value, nodes) = self.close(frame.kind, frame.nodes)?;
        let node = Node {
            value,
            mark: frame.mark,
        };
        let built = Built {
            node,
            nodes,
            height: frame.height + 1,
        };
        self.remember(frame.anchor, &built)?;
        self.finish(built)
    }

    /// The value of a collection with all its entries, and how many nodes it has.
    fn close(&self, kind: FrameKind, mut nodes: usize) -> Result<(Value, usize), Problem> {
        let value = match kind {
            FrameKind::Sequence(items) => Value::Sequence(items.into()),
            FrameKind::Mapping {
                mut entries,
                merges,
                ..
            } => {
                if self.last_key_counts {
                    entries = without_repeats(entries);
                }
                check_duplicates(&entries)?;
                for merged in &merges {
                    nodes += merge_into(&mut entries, merged);
                }
                Value::Mapping(entries.into())
            }
        };
        Ok((value, nodes))
    }

    /// Puts a copy of the anchor's node in the alias's place; it keeps the anchor's marks.
    pub(super) fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), Problem> {
        let Some(built) = self.anchors.get(anchor).cloned().flatten() else {
            return Err(ProblemKind::Alias.at(mark.line, u32::from(mark.column)));
        };
        self.check_depth(self.frames.len() + built.height, mark)?;
        let is_root = self.frames.len() == 1;
        if let Some(Frame {
            kind: FrameKind::Mapping { key, .. },
            ..
        }) = self.frames.last_mut()
            && matches!(key, Pending::None)
        {
            *key = Pending::Key(super::keys::read_key(&built.node, self.dialect, is_root)?);
            return Ok(());
        }
        self.nodes += built.nodes - 1;
        self.finish(built)
    }

    fn remember(&mut self, anchor: usize, built: &Built) -> Result<(), Problem> {
        if anchor == 0 {
            return Ok(());
        }
        self.anchored += 1;
        if self.anchored > self.limits.anchors {
            return Err(self.limits.too_many_anchors(built.node.mark));
        }
        let count = self.anchors.len().max(anchor + 1);
        self.anchors.resize(count, None);
        self.anchors[anchor] = Some(built.clone());
        Ok(())
    }

    /// Puts a finished node into the collection around it.
    fn finish(&mut self, built: Built) -> Result<(), Problem> {
        let mark = built.node.mark;
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(self.limits.too_many_nodes(mark));
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(built.node);
            return Ok(());
        };
        frame.nodes += built.nodes;
        frame.height = frame.height.max(built.height);
        match &mut frame.kind {
            FrameKind::Sequence(items) => items.push(built.node),
            FrameKind::Mapping {
                entries,
                merges,
                key,
                ..
            } => match std::mem::replace(key, Pending::None) {
                Pending::Key(key) => entries.push(key, built.node),
                Pending::Merge => add_merge(merges, built.node)?,
                Pending::None => {}
            },
        }
        Ok(())
    }

    fn check_depth(&self, depth: usize, mark: Mark) -> Result<(), Problem> {
        if depth <= self.limits.depth {
            return Ok(());
        }
        Err(self.limits.too_deep(mark.line, u32::from(mark.column)))
    }
}

fn begin_merge(key: &mut Pending, seen: &mut Option<Mark>, mark: Mark) -> Result<(), Problem> {
    if let Some(first) = seen.replace(mark) {
        let twice = ProblemKind::DuplicateKey {
            key: "<<".to_owned(),
            first: first.line,
        };
        return Err(twice.at(mark.line, u32::from(mark.column)));
    }
    *key = Pending::Merge;
    Ok(())
}
