// potluck verify: replays a record and says whether this build agrees with it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/json_line.h"
#include "cluster/ring/ring_flags.h"
#include "cluster/verify/verify.h"
#include "cluster/verify/verify_released.h"
#include "cluster/verify/verify_sampler.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

struct VerifyFlags {
  std::string model, stream, sampler, transport, precision = "exact";
  bool insecure_plaintext = false;
  VerifyOptions verify;
  double tolerance = 0, vs_bf16 = 1.6;
  bool json = false, released = false;
};

constexpr double kIdsMax = 0.01;  // the share of ids that may differ, by a tie, in an exact replay
constexpr double kStepMax = 2.5;  // the loss of a lossy stream's worst step over the reference's

// An exact f32 stream must meet every logit; a lossy one may lose what the reference loses in bf16.
bool passes(const VerifyFlags& flags, const VerifyReport& r) {
  constexpr double kForced = 2e-4, kFree = 2e-3;
  const double limit = flags.tolerance > 0 ? flags.tolerance : flags.verify.free ? kFree : kForced;
  if (r.ids.unexplained > 0) return false;
  if (r.lossy) return r.vs_bf16 <= flags.vs_bf16 && r.vs_bf16_worst <= kStepMax;
  return r.ids.differ <= kIdsMax * r.ids.chosen && r.max_abs <= limit && r.first_bad_layer.empty();
}

// Prints what rounding costs, be it that of a stream in bf16 or of fast products.
void print_loss(const VerifyFlags& flags, const VerifyReport& r) {
  std::printf(
      "loss: %.3g of the logits' RMS, %.3f times the reference's own in bf16 (worst step %.3f)",
      r.rms_rel, r.vs_bf16, r.vs_bf16_worst);
  if (r.lossy) std::printf("; it may be %g (%g)", flags.vs_bf16, kStepMax);
  std::printf("\n");
}

void print_people(const VerifyFlags& flags, const VerifyReport& r, bool passed) {
  std::printf("%s: %d steps, max |Δlogit| %.3g (op %d, row %d, id %d), entropy %.3g, argmax %.4f\n",
              passed ? "agrees" : "DISAGREES", r.steps, r.max_abs, r.worst_op, r.worst_row,
              r.worst_id, r.entropy_max_abs, r.argmax_agree);
  print_loss(flags, r);
  std::printf("ids: %d chosen, %d other than by the record", r.ids.chosen, r.ids.differ);
  if (r.ids.differ) std::printf(", %d of them no tie", r.ids.unexplained);
  std::printf("\n");
  if (!r.first_bad_layer.empty())
    std::printf("first layer that differs: %s\n", one_line(r.first_bad_layer).c_str());
}

int run_sampler(const VerifyFlags& flags) {
  const nlohmann::json report = verify_sampler(flags.sampler);
  std::puts(report.dump(flags.json ? -1 : 2).c_str());
  return report.at("passed").get<bool>() ? 0 : 1;
}

// The stages are beside the head unless a transport, a plan or devices of their own put them at the
// other end of links.
std::optional<HostSetup> hosts_of(const VerifyFlags& flags, const CommandLine& line) {
  const bool mixes = flags.verify.devices.size() > 1;
  if (flags.transport.empty() && flags.verify.plan.empty() && !mixes) return std::nullopt;
  RingFlags ring;
  ring.plan = flags.verify.plan;
  ring.transport = mixes && flags.transport.empty() ? "inproc" : flags.transport;
  ring.threads = flags.verify.threads;
  ring.insecure_plaintext = flags.insecure_plaintext;
  HostSetup hosts = host_setup(ring, 0);
  hosts.program = line.program;
  hosts.config = line.config;
  hosts.model = flags.model;
  return hosts;
}

int run_released(const VerifyFlags& flags, const ModelPlaces& places) {
  const auto source = open_model(flags.model, places);
  const nlohmann::json report =
      verify_released(*source, flags.verify.devices.front(), flags.verify.threads);
  std::puts(report.dump(flags.json ? -1 : 2).c_str());
  return report.at("passed").get<bool>() ? 0 : 1;
}

int run_verify(VerifyFlags flags, const CommandLine& line) {
  const ModelPlaces& places = line.places;
  if (!flags.sampler.empty()) return run_sampler(flags);
  if (flags.released && !flags.model.empty()) return run_released(flags, places);
  if (flags.model.empty() || flags.verify.trace.empty())
    throw Fault(FaultKind::input,
                "verify needs -m MODEL with --trace T.json or --released, or --sampler S.json");
  if (!flags.stream.empty()) flags.verify.f32 = flags.stream == "f32";
  if (!flags.verify.plan.empty() && (!flags.verify.cuts.empty() || flags.transport == "inproc"))
    throw Fault(
        FaultKind::input,
        "--plan already says where stages begin and run; leave out --cut and --transport inproc");
  if (!flags.verify.plan.empty() && flags.verify.devices.size() > 1)
    throw Fault(FaultKind::input,
                "--plan already says which worker has which device; --device names the head's");
  if (flags.precision == "fast") flags.verify.precision = Precision::fast;
  flags.verify.hosts = hosts_of(flags, line);
  if (flags.verify.hosts && !flags.verify.isa.empty())
    throw Fault(FaultKind::input,
                "--isa concerns this process alone, but the stages are in others; give it to "
                "potluck worker");
  const VerifyReport report = verify(open_model(flags.model, places), flags.verify);
  const bool passed = passes(flags, report);
  if (flags.json)
    std::puts(json_line(to_json(report)).c_str());
  else
    print_people(flags, report, passed);
  return passed ? 0 : 1;
}

void add_place_flags(CLI::App* sub, VerifyFlags& flags) {
  one_of(sub->add_option("--transport", flags.transport,
                         "put links between head and stages: zmq (processes) or inproc (threads) "
                         "(default: none)"),
         {"zmq", "inproc"});
  sub->add_option("--plan", flags.verify.plan,
                  "a file that says which workers run the stages; this process is the head");
  sub->add_flag("--insecure-plaintext", flags.insecure_plaintext,
                "with --plan: do not lock links over TCP, as its workers do not");
}

}  // namespace

void add_verify(CommandLine& line) {
  const auto flags = std::make_shared<VerifyFlags>();
  CLI::App* sub =
      line.app.add_subcommand("verify", "replay a recorded trace and compare every number");
  sub->add_option("-m,--model", flags->model, "the model (see run --help)")->type_name("MODEL");
  sub->add_option("--trace", flags->verify.trace, "the recorded ops")->type_name("T.json");
  sub->add_option("--tensors", flags->verify.tensors,
                  "the recorded tensors (default: T.safetensors beside the trace)");
  sub->add_option("--sampler", flags->sampler, "instead: replay recorded draws through the sampler")
      ->type_name("S.json");
  sub->add_flag("--released", flags->released,
                "instead: compare the released 26B checkpoint with its published logits");
  whole_number(
      sub->add_option("--cut", flags->verify.cuts, "the layers at which new stages begin: 2,4")
          ->delimiter(','),
      "N,N", 1, kMostInt);
  one_of(
      sub->add_option("--stream", flags->stream,
                      "type of the residual stream: f32 (KV too) or bf16 (KV is f16) (default: the "
                      "plan's, or f32)"),
      {"f32", "bf16"});
  whole_number(sub->add_option("--chunk", flags->verify.chunk,
                               "rows of an encode pass (default: each op in one)"),
               "N", 1, kMostInt);
  sub->add_flag("--free", flags->verify.free,
                "let each step follow our own previous one, not the recorded one");
  sub->add_option("--device,--backend", flags->verify.devices,
                  "what computes: cpu, cuda:N or hip:N; or one for each stage, the first for the "
                  "head too")
      ->type_name("DEVICE")
      ->delimiter(',')
      ->capture_default_str();
  one_of(
      sub->add_option("--precision", flags->precision, "matrix products: exact (default) or fast"),
      {"exact", "fast"});
  sub->add_option("--isa", flags->verify.isa,
                  "instruction set of fast products (default: the best here)");
  whole_number(
      sub->add_option("-t,--threads", flags->verify.threads, "CPU threads (default: all cores)"),
      "N", 1, kThreadsMax);
  real_number(
      sub->add_option(
          "--tolerance", flags->tolerance,
          "the largest |Δlogit| of an f32 stream that passes (default: 2e-4; --free: 2e-3)"),
      "X", 0, 1e9);
  real_number(
      sub->add_option("--vs-bf16", flags->vs_bf16,
                      "the largest loss that passes, over the reference's in bf16 (default: 1.6)"),
      "X", 0, 1e9);
  sub->add_flag("--json", flags->json, "print one JSON object");
  add_place_flags(sub, *flags);
  sub->callback(
      [&line, flags] { line.chosen = [flags, &line] { return run_verify(*flags, line); }; });
}

}  // namespace potluck
