/* Columns to the JSON of each event, and events to whole NATS messages: what event_texts and frames do with numpy.

   Rows lie in memory as spyctl.market.columns lays them out, and the texts between the values come from event_texts.
   What only Python writes (prices with an exponent, instants of other centuries) is refused, and numpy writes it all.
   Nothing is read or written out of bounds, whatever the arguments. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define DEPTH 10
#define NS 1000000000
#define UNDEF_PRICE INT64_MAX
#define PRICE_END 1000000000000000   /* 1e-9 units: below it a price has at most 15 significant digits */
#define PRICE_MIN 1000000            /* from 0.001 on no exponent is written */
#define FIRST_NS 1000000000000000000 /* instants with 19 digits */
#define LITERAL 48                   /* bytes of the longest text between two values */
#define NUMBER 20                    /* and of the longest number */
#define ROOM ((LITERALS + 4 * DEPTH) * (LITERAL + NUMBER)) /* more than an event takes, its symbol aside */

typedef struct { int64_t bid_px, ask_px; uint32_t bid_sz, ask_sz; } Level;
typedef struct { int64_t sort_ns, ts_event_ns, ts_recv_ns; uint32_t symbol, seq; uint8_t late, is_snapshot; } Head;
typedef struct { Head head; int64_t price; uint32_t size; int8_t aggressor; char exchange[4]; } Trade;
typedef struct { Head head; Level levels[DEPTH]; } Book;
typedef struct { char text[LITERAL]; Py_ssize_t size; } Literal;

/* The texts between the values, in the order in which event_texts.literals() gives them. */
enum {
    TS_EVENT, TS_RECV, SYMBOL, PRICE, SIZE, AGGRESSOR, EXCHANGE, TRADE_SEQ, END,
    BID_PX, BID_SZ, ASK_PX, ASK_SZ, LEVEL_END, LEVELS, IS_SNAPSHOT, BOOK_SEQ, LITERALS
};

/* The last book of a symbol, and where the texts of its levels were written; behind them is where the last one ends. */
typedef struct { const Book *book; const char *level[DEPTH + 1]; } Before;

static char DIGITS[10000][4];

/* Copied whole, whatever its size: that is a move or two, and there is room. */
static inline char *put(char *out, const Literal *literal) {
    memcpy(out, literal->text, LITERAL);
    return out + literal->size;
}

static inline char *put_digits(char *out, uint32_t number, int count) {
    memcpy(out, DIGITS[number] + 4 - count, count);
    return out + count;
}

static char *put_uint(char *out, uint64_t number) {
    if (number >= 10000)
        return put_digits(put_uint(out, number / 10000), number % 10000, 4);
    return put_digits(out, number, number < 10 ? 1 : number < 100 ? 2 : number < 1000 ? 3 : 4);
}

static inline char *put_nine(char *out, uint32_t number) {
    out = put_digits(put_digits(out, number / 100000, 4), number / 10 % 10000, 4);
    *out = '0' + number % 10;
    return out + 1;
}

static inline char *put_time(char *out, int64_t ns) {
    uint64_t seconds = ns / NS;
    out = put_digits(out, seconds / 100000000, 2);
    out = put_digits(put_digits(out, seconds / 10000 % 10000, 4), seconds % 10000, 4);
    return put_nine(out, ns % NS);
}

static inline int is_odd_price(int64_t px) {
    uint64_t size = px < 0 ? -(uint64_t)px : (uint64_t)px;
    return px != UNDEF_PRICE && (size >= PRICE_END || (size && size < PRICE_MIN));
}

static inline char *put_price(char *out, int64_t px) {
    if (px == UNDEF_PRICE) {
        memcpy(out, "null", 4);
        return out + 4;
    }
    *out = '-';
    out += px < 0;
    px = px < 0 ? -px : px;
    uint32_t below = px % NS;
    out = put_uint(out, px / NS);
    *out++ = '.';
    if (below % 10000000 == 0) { /* two decimals, as nearly always */
        out = put_digits(out, below / 10000000, 2);
        return out - (out[-1] == '0');
    }
    out = put_nine(out, below);
    while (out[-1] == '0')
        out--;
    return out;
}

static inline char *put_level(char *out, const Level *level, const Literal *literals) {
    out = put_price(put(out, &literals[BID_PX]), level->bid_px);
    out = put_uint(put(out, &literals[BID_SZ]), level->bid_sz);
    out = put_price(put(out, &literals[ASK_PX]), level->ask_px);
    out = put_uint(put(out, &literals[ASK_SZ]), level->ask_sz);
    return put(out, &literals[LEVEL_END]);
}

/* A book differs from the one before it in a level or two; those between them are copied in one piece. */
static char *put_levels(char *out, const Book *book, Before *before, const Literal *literals) {
    const char *level[DEPTH + 1];
    for (int first = 0, i; first < DEPTH; first = i) {
        for (i = first; before->book && i < DEPTH; i++)
            if (memcmp(&book->levels[i], &before->book->levels[i], sizeof(Level)))
                break;
        if (i > first) {
            for (int k = first; k < i; k++)
                level[k] = out + (before->level[k] - before->level[first]);
            memcpy(out, before->level[first], before->level[i] - before->level[first]);
            out += before->level[i] - before->level[first];
        } else {
            if (is_odd_price(book->levels[i].bid_px) || is_odd_price(book->levels[i].ask_px))
                return NULL;
            level[i] = out;
            out = put_level(out, &book->levels[i++], literals);
        }
    }
    level[DEPTH] = out;
    before->book = book;
    memcpy(before->level, level, sizeof level);
    return out;
}

static char *put_book(char *out, const Book *book, Before *before, const Literal *literals) {
    char *levels = put(out, &literals[LEVELS]) - 1; /* the comma before the first level becomes a bracket */
    if (!(out = put_levels(levels, book, before, literals)))
        return NULL;
    *levels = '[';
    out = put(out, &literals[IS_SNAPSHOT]);
    memcpy(out, book->head.is_snapshot ? "true" : "false", 5);
    out = put(out + 5 - (book->head.is_snapshot != 0), &literals[BOOK_SEQ]);
    return put(put_uint(out, book->head.seq), &literals[END]);
}

static char *put_trade(char *out, const Trade *trade, const Literal *literals) {
    if (is_odd_price(trade->price) || trade->aggressor < -1 || trade->aggressor > 1)
        return NULL;
    out = put_price(put(out, &literals[PRICE]), trade->price);
    out = put_uint(put(out, &literals[SIZE]), trade->size);
    out = put(out, &literals[AGGRESSOR]);
    memcpy(out, trade->aggressor < 0 ? "-1" : trade->aggressor ? "1" : "0", 2);
    out = put(out + 1 + (trade->aggressor < 0), &literals[EXCHANGE]);
    for (int i = 0; i < 4; i++)
        if (trade->exchange[i])
            *out++ = trade->exchange[i];
    return put(put_uint(put(out, &literals[TRADE_SEQ]), trade->head.seq), &literals[END]);
}

static int read_literals(PyObject *texts, Literal *literals) {
    char *bytes;
    for (Py_ssize_t i = 0; i < LITERALS; i++) {
        PyObject *text = PyTuple_GetItem(texts, i);
        if (!text || PyBytes_AsStringAndSize(text, &bytes, &literals[i].size) < 0)
            return 0;
        if (literals[i].size > LITERAL) {
            PyErr_SetString(PyExc_ValueError, "a text between two values is too long");
            return 0;
        }
        memcpy(literals[i].text, bytes, literals[i].size);
    }
    return 1;
}

/* encode(trades, books, order, symbols, width, literals, data, ends): writes the events and where each of them ends.
   Returns how many bytes were written, -1 where numpy has to write them. */
static PyObject *encode(PyObject *module, PyObject *args) {
    enum { TRADES, BOOKS, ORDER, SYMBOLS, DATA, ENDS, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t width, count = 0;
    PyObject *texts;
    Literal literals[LITERALS] = {0};
    if (!PyArg_ParseTuple(args, "y*y*y*y*nO!w*w*", &b[TRADES], &b[BOOKS], &b[ORDER], &b[SYMBOLS], &width, &PyTuple_Type,
                          &texts, &b[DATA], &b[ENDS]))
        return NULL;
    const Py_ssize_t trades = b[TRADES].len / sizeof(Trade), all = trades + b[BOOKS].len / sizeof(Book);
    const Py_ssize_t symbols = width > 0 ? b[SYMBOLS].len / width : 0;
    char *out = b[DATA].buf, *const begin = out, *const end = out + b[DATA].len;
    Before *before = PyMem_Calloc(symbols + 1, sizeof(Before));
    if (!before)
        PyErr_NoMemory();
    else if (read_literals(texts, literals))
        count = b[ORDER].len < b[ENDS].len ? b[ORDER].len / 8 : b[ENDS].len / 8;
    for (Py_ssize_t i = 0; i < count && out; i++) {
        const int64_t number = ((const int64_t *)b[ORDER].buf)[i];
        if (number < 0 || number >= all || end - out < ROOM + width) {
            PyErr_SetString(PyExc_IndexError, "there is no such event, or no room for it");
            break;
        }
        const Trade *trade = number < trades ? (const Trade *)b[TRADES].buf + number : NULL;
        const Book *book = trade ? NULL : (const Book *)b[BOOKS].buf + (number - trades);
        const Head *head = trade ? &trade->head : &book->head;
        if (head->ts_event_ns < FIRST_NS || head->ts_recv_ns < FIRST_NS || head->symbol >= symbols) {
            out = NULL;
            break;
        }
        out = put_time(put(out, &literals[TS_EVENT]), head->ts_event_ns);
        out = put(put_time(put(out, &literals[TS_RECV]), head->ts_recv_ns), &literals[SYMBOL]);
        const char *symbol = (const char *)b[SYMBOLS].buf + head->symbol * width;
        for (Py_ssize_t k = 0; k < width && symbol[k]; k++)
            *out++ = symbol[k];
        out = trade ? put_trade(out, trade, literals) : put_book(out, book, &before[head->symbol], literals);
        ((int64_t *)b[ENDS].buf)[i] = out - begin;
    }
    PyMem_Free(before);
    for (int i = 0; i < BUFFERS; i++)
        PyBuffer_Release(&b[i]);
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(out ? out - begin : -1);
}

/* frame(texts, starts, lengths, ranks, heads, first, tail, data): writes "<head><first, first + 1, ...><tail><length>",
   a line break, the text and a line break for each event; its rank tells the head. Returns the number of bytes. */
static PyObject *frame(PyObject *module, PyObject *args) {
    enum { TEXTS, STARTS, LENGTHS, RANKS, TAIL, DATA, BUFFERS };
    Py_buffer b[BUFFERS];
    unsigned long long first;
    PyObject *heads;
    if (!PyArg_ParseTuple(args, "y*y*y*y*O!Ky*w*", &b[TEXTS], &b[STARTS], &b[LENGTHS], &b[RANKS], &PyTuple_Type, &heads,
                          &first, &b[TAIL], &b[DATA]))
        return NULL;
    char *out = b[DATA].buf, *const begin = out, *const end = out + b[DATA].len;
    const int complete = b[STARTS].len / 8 == b[RANKS].len && b[LENGTHS].len / 8 == b[RANKS].len;
    for (Py_ssize_t i = 0; i < b[RANKS].len; i++) {
        PyObject *head = PyTuple_GetItem(heads, ((const uint8_t *)b[RANKS].buf)[i]);
        Py_ssize_t size;
        char *bytes;
        if (!head || PyBytes_AsStringAndSize(head, &bytes, &size) < 0)
            break;
        const int64_t start = complete ? ((const int64_t *)b[STARTS].buf)[i] : -1;
        const int64_t length = complete ? ((const int64_t *)b[LENGTHS].buf)[i] : -1;
        if (start < 0 || length < 0 || start > b[TEXTS].len - length ||
            end - out - size - b[TAIL].len - 2 * NUMBER - 4 < length) {
            PyErr_SetString(PyExc_IndexError, "there is no such text, or no room for it");
            break;
        }
        memcpy(out, bytes, size);
        out = put_uint(out + size, first + i);
        memcpy(out, b[TAIL].buf, b[TAIL].len);
        out = put_uint(out + b[TAIL].len, length);
        memcpy(out, "\r\n", 2);
        memcpy(out + 2, (const char *)b[TEXTS].buf + start, length);
        memcpy(out + 2 + length, "\r\n", 2);
        out += length + 4;
    }
    for (int i = 0; i < BUFFERS; i++)
        PyBuffer_Release(&b[i]);
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(out - begin);
}

static PyMethodDef METHODS[] = {
    {"encode", encode, METH_VARARGS, NULL}, {"frame", frame, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}
};
static PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, .m_name = "_kernel", .m_size = -1, .m_methods = METHODS};

PyMODINIT_FUNC PyInit__kernel(void) {
    for (int i = 0; i < 10000; i++)
        for (int k = 3, rest = i; k >= 0; k--, rest /= 10)
            DIGITS[i][k] = '0' + rest % 10;
    PyObject *module = PyModule_Create(&MODULE);
    if (module)
        PyModule_AddIntConstant(module, "ROOM", ROOM);
    return module;
}
