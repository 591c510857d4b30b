/* What the two halves of the module share: its settings, and who is bitten. */
#ifndef ITEST_TEETH_H
#define ITEST_TEETH_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* serial_normalization, as CockroachDB names its values. */
typedef enum SerialNormalization
{
	SERIAL_ROWID,
	SERIAL_SEQUENCE
} SerialNormalization;

extern int	default_int_size;
extern int	serial_normalization;

/* Everybody but superusers, who are the harness: CockroachDB's limits are for Airflow. */
extern bool teeth_bite(void);

/* Whether CockroachDB counts the statement as a schema change, which autocommit_before_ddl commits before. */
extern bool is_schema_change(Node *statement);

/* End with CockroachDB's error if it would refuse the statement; name what it would not do. */
extern void refuse_statement(Node *statement);
extern void refuse_in_function(Node *statement);

/* Give columns the types that CockroachDB would give them. Changes the statement. */
extern void convert_types(Node *statement);

/* DROP INDEX ... CASCADE of what backs a UNIQUE constraint. True if it was one and is done. */
extern bool drop_unique_index(DropStmt *statement);

#endif
