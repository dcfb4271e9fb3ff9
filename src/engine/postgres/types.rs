//! The types of Postgres that Arrow's become: what columns are said to be, and what is sent.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_postgres::arrow_pg::datatypes::field_into_pg_type;
use datafusion_postgres::pgwire::api::Type;
use postgres_types::Kind;

/// The schema in types that Postgres has.
#[must_use]
pub fn wire_schema(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| field.as_ref().clone().with_data_type(wire_type(field.data_type()));
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// The type that a client is sent: whole numbers without a sign are `bigint`, what Postgres has no type for is text.
#[must_use]
pub fn wire_type(kind: &DataType) -> DataType {
    match kind {
        DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Dictionary(_, value) => wire_type(value),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            let inner = wire_type(item.data_type());
            if inner.is_nested() {
                return DataType::Utf8;
            }
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(inner)))
        }
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Utf8
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Interval(_)
        | DataType::Duration(_) => kind.clone(),
        _ => DataType::Utf8,
    }
}

/// The Postgres type of a field.
#[must_use]
pub fn pg_type(field: &Field) -> Type {
    let wire = field.clone().with_data_type(wire_type(field.data_type()));
    field_into_pg_type(&Arc::new(wire)).unwrap_or(Type::TEXT)
}

/// Bytes of a value of a type; −1: it depends.
#[must_use]
pub fn size(kind: &Type) -> i16 {
    match *kind {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE | Type::OID | Type::REGCLASS | Type::REGTYPE => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL => 16,
        Type::NAME => 64,
        _ => -1,
    }
}

/// What Postgres calls a type where it stands alone.
#[must_use]
pub fn standard_name(kind: &Type) -> String {
    if let Kind::Array(item) = kind.kind() {
        return format!("{}[]", standard_name(item));
    }
    let name = match *kind {
        Type::BOOL => "boolean",
        Type::INT2 => "smallint",
        Type::INT4 => "integer",
        Type::INT8 => "bigint",
        Type::FLOAT4 => "real",
        Type::FLOAT8 => "double precision",
        Type::TIMESTAMP => "timestamp without time zone",
        Type::TIMESTAMPTZ => "timestamp with time zone",
        Type::TIME => "time without time zone",
        _ => kind.name(),
    };
    name.to_owned()
}
