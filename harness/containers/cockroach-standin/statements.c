/* Statements that CockroachDB refuses, and column types that it reads otherwise. */
#include "teeth.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

bool
is_schema_change(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateStmt:
		case T_AlterTableStmt:
		case T_IndexStmt:
		case T_DropStmt:
		case T_CreateSchemaStmt:
		case T_CreateEnumStmt:
		case T_AlterEnumStmt:
		case T_CreateSeqStmt:
		case T_AlterSeqStmt:
		case T_ViewStmt:
		case T_RenameStmt:
		case T_CreateFunctionStmt:
		case T_CreateTrigStmt:
		case T_TruncateStmt:
		case T_CommentStmt:
		case T_CreatedbStmt:
		case T_DropdbStmt:
			return true;
		default:
			return false;
	}
}

/* ---- refused */

static void
unimplemented(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("unimplemented: %s", what)));
}

static void
no_such_syntax(const char *word)
{
	ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("at or near \"%s\": syntax error", word)));
}

void
refuse_in_function(Node *statement)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("unimplemented: %s usage inside a function definition",
					GetCommandTagName(CreateCommandTag(statement)))));
}

static void
refuse_constraint(Constraint *constraint)
{
	if (constraint->contype == CONSTR_EXCLUSION)
		unimplemented("this syntax (EXCLUDE constraint)");
	if (constraint->deferrable || constraint->initdeferred || constraint->contype == CONSTR_ATTR_DEFERRABLE)
		unimplemented("this syntax (deferrable constraint)");
}

static void
refuse_column(ColumnDef *column)
{
	ListCell   *cell;

	foreach(cell, column->constraints)
		refuse_constraint(lfirst_node(Constraint, cell));
}

static void
refuse_table(CreateStmt *table)
{
	ListCell   *cell;

	if (table->inhRelations != NIL && table->partbound == NULL)
		unimplemented("this syntax (INHERITS)");
	if (table->relation->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("temporary tables are only supported experimentally"),
				 errhint("You can enable temporary tables by running `SET experimental_enable_temp_tables = 'on'`.")));
	foreach(cell, table->tableElts)
	{
		Node	   *element = lfirst(cell);

		if (IsA(element, Constraint))
			refuse_constraint((Constraint *) element);
		else if (IsA(element, ColumnDef))
			refuse_column((ColumnDef *) element);
	}
}

/* Whether the column `number` is in an index, or in a constraint of the type `contype`. */
static bool
is_indexed(Relation table, AttrNumber number)
{
	List	   *indexes = RelationGetIndexList(table);
	ListCell   *cell;
	bool		found = false;

	foreach(cell, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

		for (int i = 0; i < index->indnatts; i++)
			found = found || index->indkey.values[i] == number;
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
	return found;
}

static bool
has_check(Relation table, AttrNumber number)
{
	TupleConstr *constraints = RelationGetDescr(table)->constr;

	for (int i = 0; constraints && i < constraints->num_check; i++)
	{
		List	   *used = pull_vars_of_level(stringToNode(constraints->check[i].ccbin), 0);
		ListCell   *cell;

		foreach(cell, used)
			if (lfirst_node(Var, cell)->varattno == number)
				return true;
	}
	return false;
}

/* Whether a change of type keeps what is stored: a longer VARCHAR, or VARCHAR as TEXT. */
static bool
is_trivial_change(Form_pg_attribute column, TypeName *type)
{
	Oid			wanted;
	int32		modifier;

	typenameTypeIdAndMod(NULL, type, &wanted, &modifier);
	if (wanted == TEXTOID && (column->atttypid == VARCHAROID || column->atttypid == TEXTOID))
		return true;
	return wanted == column->atttypid &&
		(modifier == -1 || modifier == column->atttypmod ||
		 (wanted == VARCHAROID && column->atttypmod != -1 && modifier > column->atttypmod));
}

static void
refuse_type_change(Relation table, AlterTableCmd *command)
{
	HeapTuple	tuple = SearchSysCacheAttName(RelationGetRelid(table), command->name);
	Form_pg_attribute column;
	TypeName   *type = copyObject(((ColumnDef *) command->def)->typeName);
	AttrNumber	number;
	bool		trivial;

	if (!HeapTupleIsValid(tuple))
		return;
	column = (Form_pg_attribute) GETSTRUCT(tuple);
	number = column->attnum;
	trivial = is_trivial_change(column, type);
	ReleaseSysCache(tuple);
	if (trivial)
		return;
	if (IsTransactionBlock())
		unimplemented("ALTER COLUMN TYPE is not supported inside a transaction");
	if (is_indexed(table, number))
		unimplemented("ALTER COLUMN TYPE requiring rewrite of on-disk data is currently not supported "
					  "for columns that are part of an index");
	if (has_check(table, number))
		unimplemented("ALTER COLUMN TYPE for a column that has a constraint is currently not supported");
}

static char
constraint_type(Oid table, const char *name)
{
	Oid			constraint = get_relation_constraint_oid(table, name, true);
	HeapTuple	tuple;
	char		type = '\0';

	if (!OidIsValid(constraint))
		return type;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (HeapTupleIsValid(tuple))
	{
		type = ((Form_pg_constraint) GETSTRUCT(tuple))->contype;
		ReleaseSysCache(tuple);
	}
	return type;
}

static bool
adds_primary_key(AlterTableStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_AddConstraint && castNode(Constraint, command->def)->contype == CONSTR_PRIMARY)
			return true;
	}
	return false;
}

static void
refuse_drop_of_constraint(AlterTableStmt *statement, Oid table, const char *name)
{
	char		type = constraint_type(table, name);

	if (type == CONSTRAINT_UNIQUE)
		unimplemented(psprintf("cannot drop UNIQUE constraint \"%s\" using ALTER TABLE DROP CONSTRAINT, "
							   "use DROP INDEX CASCADE instead", name));
	if (type == CONSTRAINT_PRIMARY && !adds_primary_key(statement))
		unimplemented("primary key dropped without subsequent addition of new primary key in same transaction");
}

static void
refuse_change_of_table(AlterTableStmt *statement)
{
	Oid			oid = RangeVarGetRelid(statement->relation, AccessShareLock, true);
	Relation	table;
	ListCell   *cell;

	if (statement->objtype != OBJECT_TABLE || !OidIsValid(oid))
		return;
	table = table_open(oid, NoLock);
	foreach(cell, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_AlterColumnType)
			refuse_type_change(table, command);
		else if (command->subtype == AT_DropConstraint)
			refuse_drop_of_constraint(statement, oid, command->name);
		else if (command->subtype == AT_AddConstraint)
			refuse_constraint(castNode(Constraint, command->def));
		else if (command->subtype == AT_AddColumn)
			refuse_column(castNode(ColumnDef, command->def));
	}
	table_close(table, NoLock);
}

static void
refuse_database(CreatedbStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL &&
			pg_strcasecmp(defGetString(option), "template0") != 0)
			unimplemented(psprintf("unsupported template: %s", defGetString(option)));
	}
}

/* The first of the words in the body of a PL/pgSQL function, or NULL. Words in comments and strings count. */
static const char *
find_word(const char *body, const char *const *words)
{
	for (; *words; words++)
	{
		size_t		length = strlen(*words);

		for (const char *at = body; *at; at++)
			if (pg_strncasecmp(at, *words, length) == 0 && !isalnum((unsigned char) at[length]) &&
				at[length] != '_' && (at == body || (!isalnum((unsigned char) at[-1]) && at[-1] != '_')))
				return *words;
	}
	return NULL;
}

static void
refuse_body(List *options)
{
	static const char *const unknown[] = {"PERFORM", "EXECUTE", NULL};
	static const char *const changes[] = {
		"CREATE TABLE", "ALTER TABLE", "DROP TABLE", "CREATE INDEX", "DROP INDEX", "CREATE SEQUENCE", NULL
	};
	const char *body = NULL;
	bool		plpgsql = false;
	bool		is_do = true;
	const char *word;
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "language") == 0)
		{
			plpgsql = strcmp(defGetString(option), "plpgsql") == 0;
			is_do = false;
		}
		else if (strcmp(option->defname, "as") == 0)
			body = IsA(option->arg, List) ? strVal(linitial((List *) option->arg)) : defGetString(option);
	}
	if (body == NULL || !(plpgsql || is_do))
		return;
	if ((word = find_word(body, unknown)))
		unimplemented("attempted to use a PL/pgSQL statement that is not yet supported");
	if ((word = find_word(body, changes)))
		unimplemented(psprintf("%s usage inside a function definition", word));
}

void
refuse_statement(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_LockStmt:
			no_such_syntax("lock");
			break;
		case T_CreateDomainStmt:
			unimplemented("this syntax (CREATE DOMAIN)");
			break;
		case T_RuleStmt:
			unimplemented("this syntax (CREATE RULE)");
			break;
		case T_CreateCastStmt:
			unimplemented("this syntax (CREATE CAST)");
			break;
		case T_CreateTableSpaceStmt:
			unimplemented("this syntax (CREATE TABLESPACE)");
			break;
		case T_ReindexStmt:
			unimplemented("CockroachDB does not require reindexing.");
			break;
		case T_ListenStmt:
			unimplemented("this syntax (LISTEN)");
			break;
		case T_CreatedbStmt:
			refuse_database((CreatedbStmt *) statement);
			break;
		case T_CreateStmt:
			refuse_table((CreateStmt *) statement);
			break;
		case T_AlterTableStmt:
			refuse_change_of_table((AlterTableStmt *) statement);
			break;
		case T_CreateFunctionStmt:
			refuse_body(((CreateFunctionStmt *) statement)->options);
			break;
		case T_DoStmt:
			refuse_body(((DoStmt *) statement)->args);
			break;
		default:
			break;
	}
}

/* ---- read otherwise */

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static void
make_serial(ColumnDef *column)
{
	FuncCall   *call;
	Constraint *value;
	Constraint *not_null;

	if (serial_normalization == SERIAL_SEQUENCE)
	{
		column->typeName->names = list_make1(makeString("bigserial"));
		return;
	}
	call = makeFuncCall(list_make2(makeString("crdb"), makeString("unique_rowid")), NIL, COERCE_EXPLICIT_CALL, -1);
	value = makeNode(Constraint);
	value->contype = CONSTR_DEFAULT;
	value->location = -1;
	value->raw_expr = (Node *) call;
	not_null = makeNode(Constraint);
	not_null->contype = CONSTR_NOTNULL;
	not_null->location = -1;
	column->typeName = SystemTypeName("int8");
	column->constraints = lappend(lappend(column->constraints, value), not_null);
}

/* INT and INTEGER (which the grammar writes as pg_catalog.int4, unlike INT4) have 64 bits; JSON is JSONB. */
static void
convert_type(ColumnDef *column)
{
	static const char *const serials[] = {
		"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial", NULL
	};
	TypeName   *type = column->typeName;
	const char *name;

	if (type == NULL || type->names == NIL)
		return;
	name = strVal(llast(type->names));
	if (list_length(type->names) == 2)
	{
		if (strcmp(name, "int4") == 0 && default_int_size == 8)
			type->names = SystemTypeName("int8")->names;
	}
	else if (is_one_of(name, serials))
		make_serial(column);
	else if (strcmp(name, "string") == 0)
		type->names = SystemTypeName("text")->names;
	else if (strcmp(name, "bytes") == 0)
		type->names = SystemTypeName("bytea")->names;
	else if (strcmp(name, "json") == 0)
		type->names = SystemTypeName("jsonb")->names;
}

void
convert_types(Node *statement)
{
	ListCell   *cell;

	if (IsA(statement, CreateStmt))
	{
		foreach(cell, ((CreateStmt *) statement)->tableElts)
			if (IsA(lfirst(cell), ColumnDef))
				convert_type(lfirst(cell));
	}
	else if (IsA(statement, AlterTableStmt))
	{
		foreach(cell, ((AlterTableStmt *) statement)->cmds)
		{
			AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

			if (command->subtype == AT_AddColumn || command->subtype == AT_AlterColumnType)
				convert_type(castNode(ColumnDef, command->def));
		}
	}
	/* CONCURRENTLY is accepted and means nothing: every schema change is online. */
	else if (IsA(statement, IndexStmt))
		((IndexStmt *) statement)->concurrent = false;
	else if (IsA(statement, DropStmt))
		((DropStmt *) statement)->concurrent = false;
}

bool
drop_unique_index(DropStmt *statement)
{
	RangeVar   *name;
	Oid			index;
	ObjectAddress constraint;

	if (statement->removeType != OBJECT_INDEX || statement->behavior != DROP_CASCADE ||
		list_length(statement->objects) != 1)
		return false;
	name = makeRangeVarFromNameList(linitial_node(List, statement->objects));
	index = RangeVarGetRelid(name, AccessExclusiveLock, true);
	if (!OidIsValid(index))
		return false;
	ObjectAddressSet(constraint, ConstraintRelationId, get_index_constraint(index));
	if (!OidIsValid(constraint.objectId))
		return false;
	performDeletion(&constraint, DROP_CASCADE, 0);
	return true;
}
