/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_socket.c - where sluiced listens for commands, from a file with
 * mistakes.
 *
 * Called by the command line when the file does not load: whoever has just
 * broken it must still get at the daemon. Errors: -errno with a sentence.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"

static const char *text_of(const struct config_node *map, const char *key)
{
	const struct config_node *n = config_node_find(map, key);

	return n != NULL && n->type == NODE_SCALAR && n->text[0] == '/'
		       ? n->text
		       : NULL;
}

int config_socket(const char *path, char *socket, size_t room, struct err *e)
{
	struct config_arena arena = {NULL};
	const struct config_node *root = NULL, *run;
	const char *at = NULL, *dir = NULL;
	char *text = NULL;
	int res = config_file_read(path, &text, e), n;

	if (res == 0)
		res = config_tree_parse(&arena, text, path, &root, e);
	if (res == 0) {
		run = config_node_find(root, "run");
		at = text_of(run, "socket");
		dir = text_of(run, "dir");
		n = at != NULL ? snprintf(socket, room, "%s", at)
			       : snprintf(socket, room, "%s/" CONFIG_SOCKET,
					  dir != NULL ? dir : CONFIG_RUN_DIR);
		if (n < 0 || (size_t)n >= room)
			res = err_set(e, -EINVAL, "%s: run.socket is too long",
				      path);
	}
	config_arena_fini(&arena);
	free(text);
	return res;
}
