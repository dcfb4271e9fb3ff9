//! The rows of `flows` as the nodes and links of a river.
//!
//! Invariant: what flows into a node flows out of it, except where the river begins (START) and ends (EXIT, Later).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A row of `flows`.
#[derive(Debug, Deserialize)]
pub(super) struct Move {
    position: u32,
    from_step: Option<String>,
    to_step: Option<String>,
    sessions: u64,
}

/// A step at a position.
#[derive(Debug, Serialize)]
struct Node {
    id: String,
    position: u32,
    step: Option<String>,
    /// `start`, `step`, `other`, `exit` or `later`.
    kind: &'static str,
    sessions: u64,
}

/// Sessions that go from a node to one of the next position.
#[derive(Debug, Serialize)]
struct Link {
    source: String,
    target: String,
    position: u32,
    from_step: Option<String>,
    to_step: Option<String>,
    sessions: u64,
}

/// The river.
#[derive(Debug, Default, Serialize)]
pub(super) struct River {
    nodes: Vec<Node>,
    links: Vec<Link>,
}

impl River {
    /// The river of these moves, which are ordered by position.
    pub(super) fn new(moves: Vec<Move>) -> Self {
        let mut river = Self::default();
        let mut places = HashMap::new();
        for Move { position, from_step, to_step, sessions } in moves {
            let source = river.node(&mut places, position, from_step.as_deref());
            if position == 0 {
                river.nodes[source].sessions += sessions;
            }
            let target = river.node(&mut places, position + 1, to_step.as_deref());
            river.nodes[target].sessions += sessions;
            let (source, target) = (river.nodes[source].id.clone(), river.nodes[target].id.clone());
            river.links.push(Link { source, target, position, from_step, to_step, sessions });
        }
        river
    }

    fn node(&mut self, places: &mut HashMap<(u32, Option<String>), usize>, position: u32, step: Option<&str>) -> usize {
        *places.entry((position, step.map(str::to_owned))).or_insert_with(|| {
            let kind = match step {
                Some("START") if position == 0 => "start",
                Some("EXIT") => "exit",
                Some("Later") => "later",
                Some("Other") => "other",
                _ => "step",
            };
            let id = step.map_or_else(|| format!("{position}"), |step| format!("{position}:{step}"));
            self.nodes.push(Node { id, position, step: step.map(str::to_owned), kind, sessions: 0 });
            self.nodes.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_flows_in_flows_out() {
        let moves = serde_json::from_str(
            r#"[{"position":0,"from_step":"START","to_step":"/","sessions":3},
                {"position":1,"from_step":"/","to_step":"/a","sessions":2},
                {"position":1,"from_step":"/","to_step":"EXIT","sessions":1},
                {"position":2,"from_step":"/a","to_step":"Later","sessions":2}]"#,
        );
        let river = River::new(moves.unwrap());
        let shown: Vec<_> = river.nodes.iter().map(|node| (node.id.as_str(), node.kind, node.sessions)).collect();
        let expected = [
            ("0:START", "start", 3),
            ("1:/", "step", 3),
            ("2:/a", "step", 2),
            ("2:EXIT", "exit", 1),
            ("3:Later", "later", 2),
        ];
        assert_eq!(shown, expected);
        assert_eq!((river.links[1].source.as_str(), river.links[1].target.as_str()), ("1:/", "2:/a"));
    }
}
