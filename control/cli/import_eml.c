/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import_eml.c - hands over RFC 5322 files whose envelopes are in a file.
 *
 * Each line of FILE.jsonl: {"file": "a.eml", "sender": "...", "recipients":
 * ["..."], "arrival": 1700000000, "account": "...", "client": "..."}; paths are
 * relative to that file. The .eml files stay where they are: no MTA would send
 * them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "import.h"

struct eml_import {
	struct import_session *session;
	char dir[4096];
};

static void on_settled(void *user, void *item, enum import_verdict v,
		       const char *error)
{
	struct eml_import *im = user;

	if (v == IMPORT_REFUSED)
		import_refuse(im->session, item, error);
	free(item);
}

static int eml_open(const struct eml_import *im, const char *file,
		    struct err *e)
{
	char path[8192];
	struct stat st;
	int fd, rc;

	if (file[0] == '/')
		snprintf(path, sizeof(path), "%s", file);
	else
		snprintf(path, sizeof(path), "%s%s", im->dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, -errno, "%s", err_name(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		rc = err_set(e, -EINVAL, "is no regular file");
		close(fd);
		return rc;
	}
	return fd;
}

static int line_import(struct eml_import *im, const char *name,
		       unsigned long line_number, const char *line)
{
	json_error_t je;
	json_t *j = json_loads(line, 0, &je);
	const char *file = json_string_value(json_object_get(j, "file"));
	struct err e = {""};
	char where[512], line_name[32], *item;
	int fd;

	snprintf(where, sizeof(where), "%s:%lu", name, line_number);
	if (j == NULL || file == NULL) {
		import_refuse(im->session, where,
			      j == NULL ? je.text
					: "no \"file\": the path of the "
					  "message");
		json_decref(j);
		return 0;
	}
	snprintf(where, sizeof(where), "%s:%lu: %s", name, line_number, file);
	fd = eml_open(im, file, &e);
	item = strdup(where);
	if (fd < 0 || item == NULL) {
		import_refuse(im->session, where, e.text);
		free(item);
		json_decref(j);
		return 0;
	}
	json_object_del(j, "file");
	/* A path may be longer than a name, and no UTF-8. */
	snprintf(line_name, sizeof(line_name), "line %lu", line_number);
	return import_add(im->session, fd, line_name, j, item);
}

static int lines_import(struct eml_import *im, const char *name, FILE *f)
{
	unsigned long number = 0;
	char *line = NULL;
	size_t room = 0;
	int rc = 0;

	while (rc == 0 && getline(&line, &room, f) > 0) {
		number++;
		if (line[strspn(line, " \t\r\n")] != '\0')
			rc = line_import(im, name, number, line);
	}
	free(line);
	return rc;
}

static uint64_t lines_count(FILE *f)
{
	uint64_t n = 0;
	int c;

	while ((c = getc(f)) != EOF)
		n += c == '\n';
	rewind(f);
	return n;
}

int import_eml(struct cli *cli)
{
	static const struct import_ops ops = {NULL, on_settled};
	struct eml_import im = {NULL, ""};
	const char *name = cli->envelope_file;
	const char *slash = strrchr(name, '/');
	FILE *f = fopen(name, "re");
	int rc;

	if (f == NULL) {
		fprintf(stderr, "sluice: %s: %s\n", name, err_name(errno));
		return EX_NOINPUT;
	}
	if (slash != NULL)
		snprintf(im.dir, sizeof(im.dir), "%.*s",
			 (int)(slash - name + 1), name);
	rc = import_open(cli, "eml", &ops, &im, lines_count(f), &im.session);
	if (rc == 0) {
		rc = lines_import(&im, name, f);
		rc = import_close(&im.session, rc);
	}
	fclose(f);
	return rc;
}
