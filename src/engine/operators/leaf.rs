//! What every operator without inputs says to `DataFusion` in the same words.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::{Partitioning, PlanProperties};

/// The methods of [`datafusion::physical_plan::ExecutionPlan`] that are the same for all operators without inputs,
/// for a struct with the field `properties`.
macro_rules! leaf_methods {
    () => {
        fn properties(&self) -> &Arc<datafusion::physical_plan::PlanProperties> {
            &self.properties
        }

        fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
            Vec::new()
        }

        fn replace_children(
            self: Arc<Self>,
            children: Vec<Arc<dyn ExecutionPlan>>,
            _: datafusion::physical_plan::ReplaceChildrenOptions,
        ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
            if !children.is_empty() {
                return datafusion::common::internal_err!("{} has no children", self.name());
            }
            Ok(self)
        }

        fn with_new_children(
            self: Arc<Self>,
            children: Vec<Arc<dyn ExecutionPlan>>,
        ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
            let options = datafusion::physical_plan::ReplaceChildrenOptions::new(
                datafusion::physical_plan::ChildrenPropertiesMode::Recompute,
            );
            self.replace_children(children, options)
        }
    };
}

pub(in crate::engine) use leaf_methods;

/// The properties of a leaf with this many partitions.
///
/// They are ranges of ids or no partitioning at all, never `DataFusion`'s own hash: nothing its planner could pair
/// with another side of a join.
#[must_use]
pub fn leaf_properties(schema: SchemaRef, partitions: usize, emission: EmissionType) -> Arc<PlanProperties> {
    let equivalences = EquivalenceProperties::new(schema);
    let partitioning = Partitioning::UnknownPartitioning(partitions);
    let properties = PlanProperties::new(equivalences, partitioning, emission, Boundedness::Bounded);
    Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative))
}
