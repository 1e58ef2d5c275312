//! Calls a service many times, bare or under an idle fault layer:
//! `idle_cost bare|idle composed|apart small|large CALLS`.
//!
//! `tests/idle_cost.rs` counts the instructions of both and compares them. The inner service and its future are
//! never inlined, so that both spend the same on them. `composed` lets the compiler merge the layer with what is
//! around it, as it does within a stack of layers; `apart` forbids it, as at the outer edge of a boxed service,
//! where the layer also pays for the frame of a function of its own.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use steadfast_fault::FaultLayer;
use tower_layer::Layer;
use tower_service::Service;

/// A service whose future has as many words.
struct Inner<const WORDS: usize>;

struct Answer<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Service<Request<u64>> for Inner<WORDS> {
    type Response = Response<u64>;
    type Error = Infallible;
    type Future = Answer<WORDS>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline(never)]
    fn call(&mut self, request: Request<u64>) -> Self::Future {
        Answer([black_box(*request.body()); WORDS])
    }
}

impl<const WORDS: usize> Future for Answer<WORDS> {
    type Output = Result<Response<u64>, Infallible>;

    #[inline(never)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(Response::new(black_box(self.0[WORDS - 1]))))
    }
}

/// How a call gets from the loop to the service.
trait Edge {
    fn call<S: Service<Request<u64>>>(service: &mut S, request: Request<u64>) -> S::Future;

    fn poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output>;
}

struct Composed;

impl Edge for Composed {
    #[inline(always)]
    fn call<S: Service<Request<u64>>>(service: &mut S, request: Request<u64>) -> S::Future {
        service.call(request)
    }

    #[inline(always)]
    fn poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        future.poll(cx)
    }
}

struct Apart;

impl Edge for Apart {
    #[inline(never)]
    fn call<S: Service<Request<u64>>>(service: &mut S, request: Request<u64>) -> S::Future {
        service.call(request)
    }

    #[inline(never)]
    fn poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        future.poll(cx)
    }
}

#[inline(never)]
fn drive<E: Edge, S>(mut service: S, calls: u64) -> u64
where
    S: Service<Request<u64>, Response = Response<u64>, Error = Infallible>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let mut sum = 0_u64;
    for number in 0..calls {
        let _ready = service.poll_ready(&mut cx);
        let future = pin!(E::call(&mut service, Request::new(number)));
        if let Poll::Ready(Ok(response)) = E::poll(future, &mut cx) {
            sum = sum.wrapping_add(*response.body());
        }
    }
    sum
}

fn run<const WORDS: usize>(variant: &str, edge: &str, calls: u64) -> u64 {
    // The layer is made in every variant, so that they differ by nothing but the calls.
    let idle = FaultLayer::idle().layer(Inner::<WORDS>);
    match (variant, edge) {
        ("bare", "composed") => drive::<Composed, _>(Inner::<WORDS>, calls),
        ("idle", "composed") => drive::<Composed, _>(idle, calls),
        ("bare", "apart") => drive::<Apart, _>(Inner::<WORDS>, calls),
        ("idle", "apart") => drive::<Apart, _>(idle, calls),
        _ => panic!("no variant {variant} {edge}"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [variant, edge, size, calls] = arguments.as_slice() else {
        panic!("usage: idle_cost bare|idle composed|apart small|large CALLS");
    };
    let calls = calls.parse().expect("a number of calls");
    black_box(match size.as_str() {
        "small" => run::<1>(variant, edge, calls),
        "large" => run::<64>(variant, edge, calls),
        _ => panic!("no size {size}"),
    });
}
