/* Both ends of calls that come and go: a page that speaks SRTP and a PBX that speaks plain RTP, for hours.

   A thread of its own sends and receives, each end 50 packets a second, in steps of half a millisecond. Ends are added and
   taken away meanwhile. Packets that are sent while a call is "counted" bear a mark, and only those are counted when they
   arrive; before a hold, a reload or a hang-up the caller stops counting, so what is in flight then is no loss. What is no
   voice on a page's socket (STUN, DTLS) goes through `forward` to whoever made the connection. */

#include "../bench/load.c"
#include <pthread.h>
#include <sched.h>

enum { STEP = 500000, MARK_AT = HEADER + STAMP, MARK = 0x43, BINS = 400, BIN = 250000 /* ns */, KEYS = 32, EVENT = 101 };

/* By the side that received, like load.c's. */
struct tally {
    int64_t sent[SIDES], arrived[SIDES], twice[SIDES], refused;
};

struct pair {
    struct call call;
    struct tally tally;
    int64_t last[SIDES];
    int present[SIDES], counted, key_count;
    uint32_t leg, key_at;
    char keys[KEYS + 1];
};

struct summary {
    struct tally tally;
    int64_t behind_ns, histogram[SIDES][BINS], voices, unforwarded;
};

static struct pair *pairs;
static int most, forward = -1;
static volatile int running;
static struct summary total;
static pthread_mutex_t guard;
static pthread_t thread;

static void crowd_send(struct pair *pair, int which, int64_t now) {
    struct side *side = &pair->call.side[which];
    uint8_t packet[512] = {0x80, side->payload_type};
    int length = HEADER + VOICE;
    put16(packet + 2, ++side->sequence);
    put32(packet + 4, side->timestamp += VOICE);
    put32(packet + 8, side->ssrc);
    memset(packet + HEADER, 0x55, VOICE);
    write_stamp(packet + HEADER, now);
    if (pair->counted) {
        packet[MARK_AT] = MARK;
        pair->tally.sent[which]++;
        total.tally.sent[which]++;
    }
    if (which == PAGE) srtp_protect(pair->call.protect, packet, &length);
    sendto(side->descriptor, packet, length, 0, (struct sockaddr *)&side->to, sizeof side->to);
    if (side->sequence % REPORT == 0) send_report(&pair->call, which);
}

/* A key of the keypad (RFC 4733): one event, several packets with the same timestamp. */
static void press(struct pair *pair, const uint8_t *packet) {
    uint32_t at;
    memcpy(&at, packet + 4, 4);
    if (pair->key_count && at == pair->key_at) return;
    pair->key_at = at;
    if (pair->key_count < KEYS) pair->keys[pair->key_count++] = "0123456789*#ABCD"[packet[HEADER] & 15];
}

static void hand_over(struct pair *pair, const uint8_t *packet, int length) {
    uint8_t message[2052];
    memcpy(message, &pair->leg, 4);
    memcpy(message + 4, packet, length);
    if (send(forward, message, length + 4, MSG_DONTWAIT) < 0) total.unforwarded++;
}

static void crowd_receive(struct pair *pair, int which) {
    struct side *side = &pair->call.side[which];
    uint8_t packet[2048];
    int length = recv(side->descriptor, packet, sizeof packet, MSG_DONTWAIT);
    if (length <= 0) return;
    if ((packet[0] & 0xC0) != 0x80) {
        if (which == PAGE) hand_over(pair, packet, length);
        return;
    }
    if (length <= HEADER || (packet[1] >= 192 && packet[1] <= 223)) return;
    if (which == PAGE && srtp_unprotect(pair->call.unprotect, packet, &length)) {
        pair->tally.refused++;
        total.tally.refused++;
        return;
    }
    if (which == PBX && (packet[1] & 127) == EVENT) press(pair, packet);
    int start = HEADER + 4 * (packet[0] & 15);
    memcpy(&side->theirs, packet + 8, 4);
    side->theirs = ntohl(side->theirs);
    if (length != start + VOICE || packet[start + STAMP] != MARK) return;
    int64_t sent = read_stamp(packet + start, STAMP), late = now_ns() - sent;
    if (sent < 0) return;
    if (sent <= pair->last[which]) {
        pair->tally.twice[which]++;
        total.tally.twice[which]++;
        return;
    }
    pair->last[which] = sent;
    pair->tally.arrived[which]++;
    total.tally.arrived[which]++;
    total.histogram[which][late / BIN < BINS ? late / BIN : BINS - 1]++;
}

static void *speak(void *nothing) {
    struct epoll_event events[1024];
    int points = 2 * most;
    int64_t begin = now_ns(), done = 0;
    while (running) {
        int64_t now = now_ns(), wanted = (now - begin) * points / PERIOD;
        int64_t behind = (wanted - done) * PERIOD / points - STEP;
        pthread_mutex_lock(&guard);
        if (behind > total.behind_ns) total.behind_ns = behind;
        for (; done < wanted; done++) {
            struct pair *pair = &pairs[done % points / 2];
            int which = done % 2;
            if (pair->present[which]) crowd_send(pair, which, now_ns());
        }
        int ready = epoll_wait(poll_set, events, 1024, 0);
        for (int i = 0; i < ready; i++) {
            struct pair *pair = &pairs[events[i].data.u32 / 2];
            if (pair->present[events[i].data.u32 % 2]) crowd_receive(pair, events[i].data.u32 % 2);
        }
        pthread_mutex_unlock(&guard);
        int64_t left = (now / STEP + 1) * STEP - now_ns();
        struct timespec wait = {0, left > 1000 ? left : 1000};
        nanosleep(&wait, NULL);
    }
    return nothing;
}

/* Room for so many calls; `forwarding` is a datagram socket. `priority` of the real-time scheduler, 0 for none.
   1 if the priority was refused. */
int crowd_begin(int calls, int forwarding, int priority) {
    pthread_mutexattr_t inherit;
    pthread_mutexattr_init(&inherit);
    pthread_mutexattr_setprotocol(&inherit, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&guard, &inherit);
    pairs = calloc(calls, sizeof *pairs);
    most = calls;
    forward = forwarding;
    poll_set = epoll_create1(0);
    running = 1;
    pthread_create(&thread, NULL, speak, NULL);
    struct sched_param param = {.sched_priority = priority};
    return priority && pthread_setschedparam(thread, SCHED_FIFO, &param) ? 1 : 0;
}

void crowd_end(void) {
    running = 0;
    pthread_join(thread, NULL);
    close(poll_set);
    free(pairs);
}

static void silence(struct pair *pair, int which) {
    if (pair->present[which]) epoll_ctl(poll_set, EPOLL_CTL_DEL, pair->call.side[which].descriptor, NULL);
    pair->present[which] = 0;
}

static int present(int number, int which, int descriptor, const char *host, int port, int payload_type, uint32_t ssrc) {
    struct pair *pair = &pairs[number];
    int failed = watch(&pair->call.side[which], descriptor, host, port, payload_type, ssrc, 2 * number + which);
    pair->present[which] = !failed;
    return failed;
}

/* The page of call `number` speaks from now on. `leg` is named with what is forwarded. */
int crowd_page(int number, uint32_t leg, int descriptor, const char *host, int port, int payload_type, uint32_t ssrc,
               void *protect, void *unprotect) {
    pthread_mutex_lock(&guard);
    silence(&pairs[number], PAGE);
    pairs[number].leg = leg;
    pairs[number].call.protect = protect;
    pairs[number].call.unprotect = unprotect;
    int failed = present(number, PAGE, descriptor, host, port, payload_type, ssrc);
    pthread_mutex_unlock(&guard);
    return failed;
}

int crowd_pbx(int number, int descriptor, const char *host, int port) {
    pthread_mutex_lock(&guard);
    silence(&pairs[number], PBX);
    int failed = present(number, PBX, descriptor, host, port, 0, 0x50000000u + number);
    pthread_mutex_unlock(&guard);
    return failed;
}

void crowd_silence(int number, int which) {
    pthread_mutex_lock(&guard);
    silence(&pairs[number], which);
    pthread_mutex_unlock(&guard);
}

/* 1: what is sent from now on is counted. */
void crowd_count(int number, int counted) {
    pthread_mutex_lock(&guard);
    pairs[number].counted = counted;
    pthread_mutex_unlock(&guard);
}

/* What call `number` came to, and its place is free again. `keys` takes 33 bytes. */
void crowd_close(int number, struct tally *tally, char *keys) {
    pthread_mutex_lock(&guard);
    struct pair *pair = &pairs[number];
    silence(pair, PAGE);
    silence(pair, PBX);
    *tally = pair->tally;
    memcpy(keys, pair->keys, sizeof pair->keys);
    memset(pair, 0, sizeof *pair);
    pthread_mutex_unlock(&guard);
}

/* All calls together since the last time, but `voices`, which speak now. */
void crowd_read(struct summary *summary) {
    pthread_mutex_lock(&guard);
    *summary = total;
    memset(&total, 0, sizeof total);
    for (int i = 0; i < most; i++) summary->voices += pairs[i].present[PAGE] && pairs[i].present[PBX];
    pthread_mutex_unlock(&guard);
}
