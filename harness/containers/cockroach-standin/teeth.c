/*
 * What CockroachDB does and PostgreSQL does not, as far as hooks of the server reach (docs/adr/0019):
 * settings, schema changes that commit, order of NULLs, retry errors, and the way to statements.c.
 *
 * Loaded by shared_preload_libraries; the functions of cockroach.sql that say 'teeth' are at the end.
 */
#include "teeth.h"

#include <math.h>

#include "access/xact.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "port/atomics.h"
#include "storage/backendid.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_MODULE_MAGIC;

/* ---- settings */

int			default_int_size = 8;
int			serial_normalization = SERIAL_ROWID;
static bool autocommit_before_ddl = true;
static bool null_ordered_last = false;
static bool retry_errors = false;
static bool retry_errors_on_commit = false;
static int	fail_commits = 0;
static int	fail_statements = 0;
static double commit_percent = 0;
static double statement_percent = 0;
static int	slow_ms = 0;
static double slow_percent = 100;

static const struct config_enum_entry serial_options[] = {
	{"rowid", SERIAL_ROWID, false},
	{"unordered_rowid", SERIAL_ROWID, false},
	{"virtual_sequence", SERIAL_SEQUENCE, false},
	{"sql_sequence", SERIAL_SEQUENCE, false},
	{"sql_sequence_cached", SERIAL_SEQUENCE, false},
	{"sql_sequence_cached_node", SERIAL_SEQUENCE, false},
	{NULL, 0, false}
};

static void
define_settings(void)
{
	DefineCustomIntVariable("default_int_size", "Bytes of INT and INTEGER.", NULL,
							&default_int_size, 8, 4, 8, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("serial_normalization", "What SERIAL becomes.", NULL, &serial_normalization,
							 SERIAL_ROWID, serial_options, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("autocommit_before_ddl", "A schema change commits the transaction first.", NULL,
							 &autocommit_before_ddl, true, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("null_ordered_last", "NULLs sort as in PostgreSQL.", NULL,
							 &null_ordered_last, false, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("inject_retry_errors_enabled", "Statements in transactions fail with 40001.",
							 NULL, &retry_errors, false, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("inject_retry_errors_on_commit_enabled", "COMMIT fails with 40001.", NULL,
							 &retry_errors_on_commit, false, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("itest.fail_commits", "So many of this session's next COMMITs fail with 40001.",
							NULL, &fail_commits, 0, 0, 1000, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("itest.fail_statements",
							"So many of this session's next writing statements in transactions fail with 40001.",
							NULL, &fail_statements, 0, 0, 1000, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("itest.commit_failures", "Percent of writing COMMITs that fail with 40001.", NULL,
							 &commit_percent, 0, 0, 100, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("itest.statement_failures",
							 "Percent of writing statements in transactions that fail with 40001.", NULL,
							 &statement_percent, 0, 0, 100, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("itest.slow_statements", "Delay of each statement, or of some (itest.slow_percent).", NULL,
							&slow_ms, 0, 0, 60000, PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomRealVariable("itest.slow_percent", "Percent of statements that itest.slow_statements delays.", NULL,
							 &slow_percent, 100, 0, 100, PGC_SUSET, 0, NULL, NULL, NULL);
}

/* ---- counters, shared by all sessions */

typedef struct Counters
{
	pg_atomic_uint64 commits;	/* writing transactions that reached COMMIT */
	pg_atomic_uint64 failed_commits;
	pg_atomic_uint64 failed_statements;
	pg_atomic_uint64 slow_statements;
} Counters;

static Counters *counters = NULL;
static shmem_request_hook_type next_shmem_request = NULL;
static shmem_startup_hook_type next_shmem_startup = NULL;

static void
request_counters(void)
{
	if (next_shmem_request)
		next_shmem_request();
	RequestAddinShmemSpace(sizeof(Counters));
}

static void
start_counters(void)
{
	bool		found;

	if (next_shmem_startup)
		next_shmem_startup();
	counters = ShmemInitStruct("itest teeth", sizeof(Counters), &found);
	if (!found)
	{
		pg_atomic_init_u64(&counters->commits, 0);
		pg_atomic_init_u64(&counters->failed_commits, 0);
		pg_atomic_init_u64(&counters->failed_statements, 0);
		pg_atomic_init_u64(&counters->slow_statements, 0);
	}
}

/* ---- retry errors */

bool
teeth_bite(void)
{
	return IsUnderPostmaster && MyBackendType == B_BACKEND && !superuser_arg(GetSessionUserId());
}

static bool
happens(double percent)
{
	return percent > 0 && pg_prng_double(&pg_global_prng_state) * 100 < percent;
}

static void
fail_transaction(const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("restart transaction: TransactionRetryWithProtoRefreshError: %s", reason)));
}

/* Before a COMMIT: an error here rolls the transaction back, as a failed COMMIT does on CockroachDB. */
static void
before_commit(XactEvent event, void *unused)
{
	/* An id has who wrote or locked rows; CockroachDB may fail readers too, but seldom does. */
	if (event != XACT_EVENT_PRE_COMMIT || !teeth_bite() || !TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;
	pg_atomic_fetch_add_u64(&counters->commits, 1);
	if (fail_commits > 0)
		fail_commits--;
	else if (!retry_errors_on_commit && !happens(commit_percent))
		return;
	pg_atomic_fetch_add_u64(&counters->failed_commits, 1);
	fail_transaction("TransactionRetryError: retry txn (RETRY_SERIALIZABLE - injected at COMMIT by the stand-in)");
}

static ExecutorStart_hook_type next_executor_start = NULL;

static void
before_statement(QueryDesc *query, int flags)
{
	if (teeth_bite())
	{
		bool		writes = query->operation != CMD_SELECT || query->plannedstmt->rowMarks != NIL;

		if (slow_ms > 0 && happens(slow_percent))
		{
			pg_atomic_fetch_add_u64(&counters->slow_statements, 1);
			pg_usleep(slow_ms * 1000L);
			CHECK_FOR_INTERRUPTS();
		}
		if (writes && IsTransactionBlock() &&
			(retry_errors || fail_statements > 0 || happens(statement_percent)))
		{
			fail_statements = Max(fail_statements - 1, 0);
			pg_atomic_fetch_add_u64(&counters->failed_statements, 1);
			fail_transaction("injected by the stand-in into a statement");
		}
	}
	if (next_executor_start)
		next_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

/* ---- schema changes commit what was before them */

static void
commit_before(void)
{
	MemoryContext context = CurrentMemoryContext;

	EndTransactionBlock(false);
	CommitTransactionCommand();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
}

/* ---- NULLs come first */

static void
turn_nulls(List *clauses)
{
	ListCell   *cell;

	foreach(cell, clauses)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, cell);

		clause->nulls_first = !clause->nulls_first;
	}
}

static bool
nulls_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
		turn_nulls(((Aggref *) node)->aggorder);
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *cell;

		turn_nulls(query->sortClause);
		turn_nulls(query->distinctClause);	/* has to agree with the order */
		foreach(cell, query->windowClause)
			turn_nulls(lfirst_node(WindowClause, cell)->orderClause);
		return query_tree_walker(query, nulls_walker, context, 0);
	}
	return expression_tree_walker(node, nulls_walker, context);
}

/* The analyzed query no longer tells who wrote NULLS FIRST or LAST: then all of its orders stay. */
static bool
says_where_nulls_go(const char *sql)
{
	for (; sql && *sql; sql++)
		if (pg_strncasecmp(sql, "nulls ", 6) == 0)
			return true;
	return false;
}

static post_parse_analyze_hook_type next_post_parse_analyze = NULL;

static void
after_analysis(ParseState *state, Query *query, JumbleState *jumble)
{
	if (next_post_parse_analyze)
		next_post_parse_analyze(state, query, jumble);
	if (!IsTransactionState() || !teeth_bite())
		return;
	if (query->commandType != CMD_UTILITY)
	{
		if (!null_ordered_last && !says_where_nulls_go(state->p_sourcetext))
			nulls_walker((Node *) query, NULL);
	}
	/* Inside a function there is a snapshot: nothing can be committed there. */
	else if (autocommit_before_ddl && is_schema_change(query->utilityStmt) && IsTransactionBlock() &&
			 !ActiveSnapshotSet())
		commit_before();
}

/* ---- statements that CockroachDB refuses or reads otherwise */

static ProcessUtility_hook_type next_process_utility = NULL;

static void
before_utility(PlannedStmt *planned, const char *sql, bool read_only, ProcessUtilityContext context,
			   ParamListInfo parameters, QueryEnvironment *environment, DestReceiver *receiver,
			   QueryCompletion *completion)
{
	if (context != PROCESS_UTILITY_SUBCOMMAND && teeth_bite())
	{
		if (context == PROCESS_UTILITY_QUERY && is_schema_change(planned->utilityStmt))
			refuse_in_function(planned->utilityStmt);
		refuse_statement(planned->utilityStmt);
		if (IsA(planned->utilityStmt, DropStmt) && drop_unique_index((DropStmt *) planned->utilityStmt))
			return;
		if (read_only)
			planned = copyObject(planned);
		read_only = false;
		convert_types(planned->utilityStmt);
	}
	if (next_process_utility)
		next_process_utility(planned, sql, read_only, context, parameters, environment, receiver, completion);
	else
		standard_ProcessUtility(planned, sql, read_only, context, parameters, environment, receiver, completion);
}

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	define_settings();
	RegisterXactCallback(before_commit, NULL);
	next_shmem_request = shmem_request_hook;
	shmem_request_hook = request_counters;
	next_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_counters;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = before_statement;
	next_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = after_analysis;
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = before_utility;
}

/* ---- functions */

PG_FUNCTION_INFO_V1(teeth_unique_rowid);
PG_FUNCTION_INFO_V1(teeth_commits);
PG_FUNCTION_INFO_V1(teeth_failed_commits);
PG_FUNCTION_INFO_V1(teeth_failed_statements);
PG_FUNCTION_INFO_V1(teeth_slow_statements);

/*
 * 48 bits of time in units of 10 microseconds, and 15 bits that are CockroachDB's node and here the session:
 * unique among sessions, growing within one. (Documentation: "Functions and Operators", unique_rowid.)
 */
Datum
teeth_unique_rowid(PG_FUNCTION_ARGS)
{
	static int64 last = 0;
	const int64 unix_epoch = INT64CONST(946684800000000);	/* microseconds from 1970 to 2000 */
	int64		now = (GetCurrentTimestamp() + unix_epoch) / 10;

	last = Max(now, last + 1);
	PG_RETURN_INT64((last << 15) | (MyBackendId & 0x7fff));
}

Datum
teeth_commits(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) pg_atomic_read_u64(&counters->commits));
}

Datum
teeth_failed_commits(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) pg_atomic_read_u64(&counters->failed_commits));
}

Datum
teeth_failed_statements(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) pg_atomic_read_u64(&counters->failed_statements));
}

Datum
teeth_slow_statements(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) pg_atomic_read_u64(&counters->slow_statements));
}
