/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command.c - the command socket: clients, requests, tasks. What goes out to
 * them is in client_send.c.
 *
 * Role: command. Unix SOCK_SEQPACKET: one packet is one JSON object, with up
 * to 64 descriptors beside it. Bound: CLIENTS_MAX clients, one request each;
 * the next is read when the one before is answered. A client that does not
 * read its events loses them and is told how many.
 */
#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/command_priv.h"
#include "sluiced/sockets.h"

#define CLIENTS_MAX     64
#define SEND_BYTES      (1 << 20) /* a packet has to fit in whole */
#define ACCEPT_AGAIN_NS (200 * NS_PER_MS)

struct engine *client_engine(struct client *c)
{
	return c->command->en;
}

const char *client_actor(const struct client *c)
{
	return c->actor;
}

bool client_peer(const struct client *c, uid_t *uid, pid_t *pid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	*uid = cred.uid;
	*pid = cred.pid;
	return true;
}

uint32_t client_backlog(const struct client *c)
{
	return c->out_count;
}

void client_wake(struct client *c)
{
	c->runnable = true;
}

void client_task(struct client *c, struct task *t)
{
	sluice_assert(c->task == NULL);
	t->client = c;
	c->task = t;
	c->runnable = true;
	if (t->packet != NULL)
		client_receive(c);
}

void client_task_end(struct client *c)
{
	struct task *t = c->task;

	c->task = NULL;
	if (t != NULL)
		t->destroy(t);
}

void client_tail(struct client *c)
{
	if (!c->tailing)
		c->command->tailing++;
	c->tailing = true;
	client_receive(c); /* to notice that it hangs up */
}

static void request_run(struct client *c, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "verb"));
	const struct verb *v = name ? verb_find(name) : NULL;
	const char *key;
	json_t *value;
	char spaced[128];

	if (v == NULL) {
		client_error(c, EX_USAGE, "unknown verb '%s'",
			     name ? name : "");
		return;
	}
	json_object_foreach(request, key, value)
	{
		snprintf(spaced, sizeof(spaced), " %s ", key);
		if (strcmp(key, "verb") != 0 && strcmp(key, "actor") != 0 &&
		    strstr(v->keys, spaced) == NULL) {
			client_error(c, EX_USAGE, "%s: unknown key '%s'", name,
				     key);
			return;
		}
	}
	v->start(c, request);
}

/* Descriptors that came with the packet. */
static uint32_t packet_fds(struct msghdr *m, int fds[CLIENT_FDS_MAX])
{
	uint32_t count = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL;
	     h = CMSG_NXTHDR(m, h)) {
		size_t n;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n && count < CLIENT_FDS_MAX; i++)
			memcpy(&fds[count++], CMSG_DATA(h) + i * sizeof(int),
			       sizeof(int));
	}
	return count;
}

static void packet_handle(struct client *c, size_t len)
{
	int fds[CLIENT_FDS_MAX];
	uint32_t fd_count = packet_fds(&c->recv_msg, fds);
	json_error_t je;
	struct task *t = c->task;
	json_t *j = json_loadb(c->buf, len, 0, &je);

	if (t != NULL && t->packet != NULL && json_is_object(j)) {
		t->packet(t, j, fds, fd_count);
		json_decref(j);
		if (c->task == t) /* it may have ended */
			client_receive(c);
		return;
	}
	client_fds_close(fds, fd_count);
	if (c->recv_msg.msg_flags & MSG_TRUNC)
		client_error(c, EX_DATAERR, "packet is larger than %d bytes",
			     CLIENT_PACKET_BYTES);
	else if (!json_is_object(j))
		client_error(c, EX_DATAERR, "no JSON object: %s at byte %d",
			     je.text, je.position);
	else if (c->tailing)
		client_error(c, EX_USAGE, "this connection is tailing");
	else
		request_run(c, j);
	json_decref(j);
}

static void on_received(struct io_op *op, int res, uint32_t flags,
			const void *data)
{
	struct client *c = op->user;
	int fds[CLIENT_FDS_MAX];

	(void)flags;
	(void)data;
	c->receiving = false;
	if (res <= 0 || c->closing) {
		if (res > 0)
			client_fds_close(fds, packet_fds(&c->recv_msg, fds));
		client_close(c);
		client_task_end(c); /* no caller is inside it */
		return;
	}
	packet_handle(c, (size_t)res);
}

void client_receive(struct client *c)
{
	if (c->receiving || c->closing)
		return;
	c->recv_iov = (struct iovec){c->buf, sizeof(c->buf)};
	c->recv_msg = (struct msghdr){
		.msg_iov = &c->recv_iov,
		.msg_iovlen = 1,
		.msg_control = c->control,
		.msg_controllen = sizeof(c->control),
	};
	c->receiving = io_recvmsg(c->command->en->io, &c->recv_op, c->fd,
				  &c->recv_msg) == 0;
	if (!c->receiving)
		client_close(c);
}

/* Called from anywhere, also by a task that sends: task and struct go in
 * clients_reap(), when no caller is inside them, and the struct only when
 * nothing of it is in the ring any more. */
void client_close(struct client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	shutdown(c->fd, SHUT_RDWR); /* ends what is in the ring */
	if (c->tailing)
		c->command->tailing--;
	c->tailing = false;
}

static void clients_reap(struct command *cmd)
{
	struct client **at = &cmd->clients;

	while (*at != NULL) {
		struct client *c = *at;

		if (c->closing)
			client_task_end(c);
		if (!c->closing || c->receiving || c->sending) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		cmd->client_count--;
		while (c->out != NULL)
			client_packet_drop_first(c);
		close(c->fd);
		free(c);
	}
}

static void actor_of(int fd, char actor[64])
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		snprintf(actor, 64, "uid %u", (unsigned)cred.uid);
	else
		snprintf(actor, 64, "unknown");
}

static void client_new(struct command *cmd, int fd)
{
	int room = SEND_BYTES;
	struct client *c =
		cmd->client_count < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (c == NULL) {
		close(fd);
		return;
	}
	c->command = cmd;
	c->fd = fd;
	c->out_end = &c->out;
	c->recv_op = (struct io_op){.done = on_received, .user = c};
	c->send_op = (struct io_op){.done = client_on_sent, .user = c};
	actor_of(fd, c->actor);
	/* Less than asked for is enough for most. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	c->next = cmd->clients;
	cmd->clients = c;
	cmd->client_count++;
	client_receive(c);
}

static void accept_start(struct command *cmd)
{
	if (io_accept_multi(cmd->en->io, &cmd->accept_op, cmd->fd) != 0)
		io_timer_set(cmd->en->io, &cmd->accept_again,
			     io_now_ns(cmd->en->io) + ACCEPT_AGAIN_NS);
}

static void accept_again(struct io_timer *t, uint64_t now_ns)
{
	(void)now_ns;
	accept_start(t->user);
}

static void on_accepted(struct io_op *op, int res, uint32_t flags,
			const void *data)
{
	struct command *cmd = op->user;

	(void)data;
	if (res >= 0)
		client_new(cmd, res);
	if ((flags & IO_MORE) != 0 || res == -ECANCELED)
		return;
	if (res >= 0) {
		accept_start(cmd);
		return;
	}
	/* No descriptors, no memory: not again at once, or we would do nothing
	 * else. */
	log_warn("command", "accept: %s", err_name(res));
	io_timer_set(cmd->en->io, &cmd->accept_again,
		     io_now_ns(cmd->en->io) + ACCEPT_AGAIN_NS);
}

static int socket_listen(const char *path, int *out, struct err *e)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, rc;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(e, -ENAMETOOLONG,
			       "%s: socket path is longer than %zu bytes; set "
			       "run.socket to a shorter one",
			       path, sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, -errno, "socket: %s", err_name(errno));
	/* The spool's lock is ours by now: a socket file there is a stale
	 * one. */
	unlink(path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0 ||
	    chmod(path, 0660) != 0 || listen(fd, 16) != 0) {
		rc = err_set(e, -errno, "%s: %s", path, err_name(errno));
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

int command_create(struct engine *en, struct sockets *sockets,
		   struct command **out, struct err *e)
{
	struct command *cmd = calloc(1, sizeof(*cmd));
	int rc = 0;

	if (cmd == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	cmd->en = en;
	io_timer_init(&cmd->accept_again, accept_again, cmd);
	cmd->fd = sockets_take_command(sockets);
	cmd->inherited = cmd->fd >= 0;
	if (!cmd->inherited)
		rc = socket_listen(en->config->run.socket, &cmd->fd, e);
	if (rc != 0) {
		free(cmd);
		return rc;
	}
	cmd->accept_op = (struct io_op){.done = on_accepted, .user = cmd};
	rc = io_accept_multi(en->io, &cmd->accept_op, cmd->fd);
	if (rc != 0) {
		close(cmd->fd);
		free(cmd);
		return err_set(e, rc, "accept: %s", err_name(rc));
	}
	*out = cmd;
	return 0;
}

void command_destroy(struct command **cmdp)
{
	struct command *cmd = *cmdp;

	*cmdp = NULL;
	if (cmd == NULL)
		return;
	if (!cmd->inherited)
		unlink(cmd->en->config->run.socket);
	io_timer_cancel(cmd->en->io, &cmd->accept_again);
	io_cancel(cmd->en->io, &cmd->accept_op);
	for (struct client *c = cmd->clients; c != NULL; c = c->next)
		client_close(c);
	/* Lets what is in the ring come back to its owner. */
	for (int i = 0; i < 100; i++) {
		clients_reap(cmd);
		if (cmd->clients == NULL && cmd->accept_op.pending == 0)
			break;
		io_step(cmd->en->io, NS_PER_MS);
	}
	close(cmd->fd);
	free(cmd);
}

bool command_step(struct command *cmd)
{
	bool busy = false;

	clients_reap(cmd);
	for (struct client *c = cmd->clients; c != NULL; c = c->next) {
		if (!c->runnable || c->task == NULL || c->closing)
			continue;
		/* The step may end the task: wakes during it count. */
		c->runnable = false;
		if (c->task->step(c->task))
			c->runnable = true;
		busy |= c->runnable;
	}
	return busy;
}
