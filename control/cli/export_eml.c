/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_eml.c - messages as .eml files, their envelopes in envelope.jsonl.
 *
 * What `sluice import eml --envelope DIR/envelope.jsonl` reads. Nobody takes
 * such files by himself, but an operator may: a message is there when its line
 * is. So a file is staged, its line is kept beside it (lines.jsonl), and
 * placing is: rename the file, append the line. A line that a run before this
 * one had appended already is not appended again. One thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "eml_lines.h"
#include "export_stage.h"

#define LINES_FILE    "lines.jsonl"
#define ENVELOPE_FILE "envelope.jsonl"
#define NAME_BYTES    32
#define NAME_TRIES    1000

struct eml_export {
	struct cli *cli;
	struct stage stage;
	int lines;       /* lines.jsonl of this session; -1 = not yet */
	int envelopes;   /* envelope.jsonl */
	json_t *waiting; /* lines by id, of what is staged */
	json_t *there;   /* lines of envelope.jsonl; only to finish a run */
};

/* "ID.eml", or with a number: an earlier run gave away other recipients. */
static int name_choose(struct eml_export *x, const char *id,
		       char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%s.eml", id);
	for (unsigned n = 1; n < NAME_TRIES; n++) {
		if (faccessat(x->stage.base, name, F_OK, AT_SYMLINK_NOFOLLOW) !=
		    0)
			return 0;
		snprintf(name, NAME_BYTES, "%s.%u.eml", id, n);
	}
	return -EEXIST;
}

static int lines_write(int fd, const json_t *lines)
{
	int rc = 0;
	size_t i;
	json_t *j;

	json_array_foreach(lines, i, j) if (rc == 0) rc =
		stage_write(fd, json_string_value(j), json_string_length(j));
	return rc;
}

/* Before its file: what is staged has its line. */
static int lines_stage(struct eml_export *x, const struct export_message *m,
		       json_t *lines, struct err *e)
{
	int rc = 0;

	if (x->lines < 0)
		rc = stage_create(&x->stage, LINES_FILE, &x->lines, e);
	if (rc != 0)
		return rc;
	rc = lines_write(x->lines, lines);
	if (rc == 0 && json_object_set(x->waiting, m->id, lines) != 0)
		rc = -ENOMEM;
	return rc == 0 ? 0
		       : err_set(e, rc, "%s/" STAGE_DIR "/" LINES_FILE ": %s",
				 x->stage.path, err_name(rc));
}

static int piece(void *user, const void *data, size_t len)
{
	return stage_write(*(int *)user, data, len);
}

static int file_stage(struct eml_export *x, const struct export_message *m,
		      struct err *e)
{
	char staged[NAME_BYTES];
	int fd, rc;

	snprintf(staged, sizeof(staged), "%s.eml", m->id);
	rc = stage_create(&x->stage, staged, &fd, e);
	if (rc != 0)
		return rc;
	rc = export_message_content(m, piece, &fd);
	close(fd);
	if (rc == 0)
		return 0;
	unlinkat(x->stage.dir, staged, 0);
	json_object_del(x->waiting, m->id);
	if (rc == -EBADMSG) {
		err_set(e, rc,
			"its content is damaged in the spool (checksum)");
		return 1;
	}
	return err_set(e, rc, "%s/" STAGE_DIR "/%s: %s", x->stage.path, staged,
		       err_name(rc));
}

static int eml_stage(void *user, const struct export_message *m, struct err *e)
{
	struct eml_export *x = user;
	char name[NAME_BYTES];
	json_t *lines;
	int rc = name_choose(x, m->id, name);

	if (rc != 0)
		return err_set(e, rc, "%s: too many files of message %s",
			       x->stage.path, m->id);
	lines = eml_lines(m, name);
	if (lines == NULL) {
		err_set(e, -EILSEQ,
			"its envelope holds text that is no UTF-8: export it "
			"to a Postfix queue instead");
		return 1;
	}
	rc = lines_stage(x, m, lines, e);
	json_decref(lines);
	return rc == 0 ? file_stage(x, m, e) : rc;
}

static int eml_sync(void *user, struct err *e)
{
	struct eml_export *x = user;

	if (x->lines >= 0 && fsync(x->lines) != 0)
		return err_set(e, -errno, "%s/" STAGE_DIR "/" LINES_FILE ": %s",
			       x->stage.path, err_name(errno));
	return stage_sync(&x->stage, e);
}

/* Calls each() for every whole line of a file; where the last one ends. */
static int lines_read(int dir, const char *name,
		      void (*each)(void *user, const char *line, size_t len),
		      void *user, off_t *end)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	FILE *f = fd >= 0 ? fdopen(fd, "re") : NULL;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	*end = 0;
	if (f == NULL) {
		if (fd >= 0)
			close(fd);
		return errno == ENOENT ? 0 : -errno;
	}
	while ((n = getline(&line, &room, f)) > 0 && line[n - 1] == '\n') {
		each(user, line, (size_t)n);
		*end += n;
	}
	free(line);
	n = ferror(f) ? -EIO : 0;
	fclose(f);
	return (int)n;
}

static void waiting_add(void *user, const char *line, size_t len)
{
	json_t *waiting = user, *lines;
	json_t *j = json_loadb(line, len, 0, NULL);
	const char *file = json_str(j, "file");
	char id[EXPORT_ID_BYTES];

	if (strlen(file) >= EXPORT_ID_BYTES) {
		memcpy(id, file, EXPORT_ID_BYTES - 1);
		id[EXPORT_ID_BYTES - 1] = '\0';
		lines = json_object_get(waiting, id);
		if (lines == NULL) {
			lines = json_array();
			json_object_set_new(waiting, id, lines);
		}
		json_array_append_new(lines, json_stringn(line, len));
	}
	json_decref(j);
}

static void there_add(void *user, const char *line, size_t len)
{
	(void)len;
	json_object_set_new(user, line, json_true());
}

/* What an earlier run had staged, and which lines it got to append. */
static int earlier_read(struct eml_export *x, struct err *e)
{
	off_t end;
	int rc;

	if (x->there != NULL)
		return 0;
	x->there = json_object();
	rc = lines_read(x->stage.dir, LINES_FILE, waiting_add, x->waiting,
			&end);
	if (rc == 0)
		rc = lines_read(x->stage.base, ENVELOPE_FILE, there_add,
				x->there, &end);
	/* A line that was cut off in the middle goes. */
	if (rc == 0 && ftruncate(x->envelopes, end) != 0)
		rc = -errno;
	return rc == 0 ? 0
		       : err_set(e, rc, "%s: %s", x->stage.path, err_name(rc));
}

static int lines_append(struct eml_export *x, const json_t *lines)
{
	int rc = 0;
	size_t i;
	json_t *j;

	json_array_foreach(lines, i, j)
	{
		const char *line = json_string_value(j);

		if (rc == 0 && (x->there == NULL ||
				json_object_get(x->there, line) == NULL))
			rc = stage_write(x->envelopes, line,
					 json_string_length(j));
	}
	return rc;
}

static const char *file_of(const json_t *lines, json_t **keep)
{
	const json_t *first = json_array_get(lines, 0);

	*keep = json_loadb(json_string_value(first), json_string_length(first),
			   0, NULL);
	return json_str(*keep, "file");
}

static int one_place(struct eml_export *x, const char *id, bool again,
		     struct err *e)
{
	json_t *lines = json_object_get(x->waiting, id), *line;
	char staged[NAME_BYTES];
	const char *file;
	int rc = 0;

	if (lines == NULL)
		return err_set(e, -ENOENT,
			       "%s/" STAGE_DIR "/" LINES_FILE
			       " has no line of message %s, which is handed "
			       "over: was it removed?",
			       x->stage.path, id);
	file = file_of(lines, &line);
	snprintf(staged, sizeof(staged), "%s.eml", id);
	if (renameat2(x->stage.dir, staged, x->stage.base, file,
		      RENAME_NOREPLACE) != 0 &&
	    (errno != ENOENT || !again))
		rc = err_set(e, -errno,
			     "%s/" STAGE_DIR "/%s cannot be renamed to %s: %s; "
			     "it is handed over and waits there: repair this, "
			     "then --finish",
			     x->stage.path, staged, file, err_name(errno));
	if (rc == 0 && lines_append(x, lines) != 0)
		rc = err_set(e, -EIO, "%s/" ENVELOPE_FILE ": %s", x->stage.path,
			     err_name(errno));
	if (rc == 0 && x->cli->json) {
		json_t *j = json_pack("{s:s,s:s}", "id", id, "file", file);

		print_json("sluice.exported.1", j);
		json_decref(j);
	}
	json_decref(line);
	if (rc == 0)
		json_object_del(x->waiting, id);
	return rc;
}

static int eml_place(void *user, char (*ids)[EXPORT_ID_BYTES], uint32_t count,
		     bool again, struct err *e)
{
	struct eml_export *x = user;
	int rc = again ? earlier_read(x, e) : 0;

	for (uint32_t i = 0; i < count && rc == 0; i++)
		rc = one_place(x, ids[i], again, e);
	/* Files first: a line speaks of a file that is there. */
	if (rc == 0)
		rc = dir_fsync(x->stage.base, x->stage.path, e);
	return rc == 0 ? dir_fsync(x->envelopes, ENVELOPE_FILE, e) : rc;
}

static int eml_clean(void *user, struct err *e)
{
	struct eml_export *x = user;

	json_object_clear(x->waiting);
	json_decref(x->there);
	x->there = NULL;
	return stage_clean(&x->stage, e);
}

static int eml_token(void *user, const char *token, struct err *e)
{
	struct eml_export *x = user;

	return stage_token(&x->stage, token, e);
}

static const struct export_kind kind = {
	.name = "eml",
	.stage = eml_stage,
	.sync = eml_sync,
	.place = eml_place,
	.clean = eml_clean,
	.token = eml_token,
};

static int eml_open(struct eml_export *x, const char *dir,
		    struct export_found *found)
{
	struct err e = {""};
	int rc = stage_open(&x->stage, dir, ".eml", found, &e);

	if (rc == 0) {
		x->envelopes = openat(x->stage.base, ENVELOPE_FILE,
				      O_WRONLY | O_CREAT | O_APPEND |
					      O_CLOEXEC | O_NOFOLLOW,
				      0600);
		if (x->envelopes < 0)
			rc = err_set(&e, -errno, "%s/" ENVELOPE_FILE ": %s",
				     dir, err_name(errno));
	}
	if (rc == 0)
		return 0;
	fprintf(stderr, "sluice: export: %s\n", e.text);
	return rc == -EACCES ? EX_NOPERM : EX_CANTCREAT;
}

static void eml_close(struct eml_export *x, bool over)
{
	struct err e = {""};

	if (x->lines >= 0)
		close(x->lines);
	if (x->envelopes >= 0)
		close(x->envelopes);
	if (over && stage_clean(&x->stage, &e) != 0)
		fprintf(stderr, "sluice: export: %s\n", e.text);
	stage_close(&x->stage, over);
	json_decref(x->waiting);
	json_decref(x->there);
}

int export_eml(struct cli *cli, const char *dir)
{
	struct eml_export x = {
		.cli = cli,
		.stage = {.base = -1, .dir = -1},
		.lines = -1,
		.envelopes = -1,
	};
	struct export_found found = {"", 0, false};
	char *path;
	int rc;

	if (!cli->dry_run && mkdir(dir, 0700) != 0 && errno != EEXIST) {
		fprintf(stderr, "sluice: %s: %s\n", dir, err_name(errno));
		return EX_CANTCREAT;
	}
	path = realpath(dir, NULL);
	if (cli->dry_run) {
		rc = export_dry_run(cli, kind.name, path != NULL ? path : dir);
		free(path);
		return rc;
	}
	x.waiting = json_object();
	rc = path != NULL ? eml_open(&x, path, &found) : EX_NOINPUT;
	if (rc == 0)
		rc = export_run(cli, &kind, &x, path, &found);
	eml_close(&x, found.over);
	free(path);
	return rc;
}
