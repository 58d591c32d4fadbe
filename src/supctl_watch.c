/*
 * --watch: a view of something, once a second.
 *
 * On a terminal it is painted over the one before, cut to what fits, until q
 * or ^C; the last one stays there.  Elsewhere one follows the other, until the
 * reader has gone.  The terminal's mode is put back in every case.  If supd is
 * restarted it goes on.
 */
#include "supctl.h"

#include <errno.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "clock.h"

enum { WATCH_MS = 1000 };

struct watch {
	const struct supctl *ctl;
	struct view *view;
	struct call call;
	struct draw draw;
	int interrupt_fd;
	int key_fd;             /* or -1 */
	struct termios before;
};

static void
open_keys(struct watch *w)
{
	struct termios mode;

	w->key_fd = -1;
	if (!w->draw.terminal || tcgetattr(STDIN_FILENO, &w->before) < 0)
		return;
	mode = w->before;
	mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &mode) == 0)
		w->key_fd = STDIN_FILENO;
}

static void
close_keys(struct watch *w)
{
	if (w->key_fd >= 0)
		(void)tcsetattr(w->key_fd, TCSANOW, &w->before);
}

static int
paint(struct watch *w, const json_t *reply)
{
	struct draw *d = &w->draw;
	int code;

	if (w->ctl->json) {
		call_print_json(reply);
		return SUPCTL_DONE;
	}
	draw_fit(d);
	d->redraws = d->terminal;
	d->line_count = d->column = 0;
	if (d->terminal)
		draw_raw(d->out, "\033[H");
	code = w->view->draw(w->view, d, reply);
	if (d->terminal)
		draw_raw(d->out, "\033[J");
	else
		draw_end(d);
	return code;
}

/* The connection was lost; the next look is over another one. */
static int
come_back(struct watch *w, bool *ret_over)
{
	int error = call_reopen(&w->call);

	if (error == -EINTR) {
		*ret_over = true;
		return SUPCTL_DONE;
	}
	if (error < 0)
		return complain_gone(&w->call, error, "");
	complain_back(&w->call, "still watching");
	return SUPCTL_DONE;
}

/* Asks and paints.  *ret_over: it has ended, was interrupted, or nobody sees
 * it. */
static int
look(struct watch *w, bool *ret_over)
{
	struct view *view = w->view;
	enum call_result result;
	struct reply reply;
	int code;

	call_send(&w->call, view->method, view->service != NULL ?
	    json_pack("{s:s}", "service", view->service) : json_object(),
	    false);
	result = call_receive(&w->call, CALL_PATIENCE_MS, &reply);
	if (result == CALL_INTERRUPTED) {
		*ret_over = true;
		return SUPCTL_DONE;
	}
	if (result == CALL_CLOSED)
		return come_back(w, ret_over);
	if (result != CALL_REPLY)
		return complain_result(w->ctl, &w->call, result);
	code = reply.error != NULL ?
	    complain_reply(w->ctl, &w->call, &reply) :
	    paint(w, reply.parameters);
	if (code == SUPCTL_DONE && view->is_over != NULL)
		view->over = view->is_over(view, reply.parameters, &code);
	reply_release(&reply);
	if (draw_flush() != 0 || view->over)
		*ret_over = true;
	return code;
}

/* Returns true if the user has seen enough. */
static bool
wait_for_key(struct watch *w)
{
	uint64_t until_ms = clock_ms() + WATCH_MS, now_ms;

	while ((now_ms = clock_ms()) < until_ms) {
		struct pollfd polled[2] = {
			{ .fd = w->interrupt_fd, .events = POLLIN },
			{ .fd = w->key_fd, .events = POLLIN },
		};
		char key = 'q';

		(void)poll(polled, 2, (int)(until_ms - now_ms));
		if (polled[0].revents != 0)
			return true;
		if (polled[1].revents == 0)
			continue;
		/* An end of file leaves the q: the terminal has gone. */
		(void)!read(w->key_fd, &key, 1);
		if (key == 'q' || key == 'Q')
			return true;
	}
	return false;
}

int
watch(const struct supctl *ctl, struct view *view)
{
	struct watch w = { .ctl = ctl, .view = view };
	bool over = false;
	int code = call_open(&w.call, ctl->socket_path);

	if (code != SUPCTL_DONE)
		return code;
	w.interrupt_fd = w.call.interrupt_fd = call_catch_interrupts();
	draw_init(&w.draw, stdout);
	open_keys(&w);
	if (w.draw.terminal && !ctl->json)
		draw_raw(stdout, "\033[2J");
	while (code == SUPCTL_DONE && !over && draw_flush() == 0) {
		code = look(&w, &over);
		if (code == SUPCTL_DONE && !over)
			over = wait_for_key(&w);
	}
	close_keys(&w);
	call_close(&w.call);
	if (w.interrupt_fd >= 0)
		close(w.interrupt_fd);
	return code;
}
